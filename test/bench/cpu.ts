/** Seconds of CPU that processes have used, from /proc. */
import { readdir, readFile } from "node:fs/promises"

const ticksPerSecond = 100

/** `utime` and those after it; the second field may hold anything, so fields count from the last bracket. */
const fieldsOf = async (pid: number | string) => {
  const fields = (await readFile(`/proc/${pid}/stat`, "utf8")).replace(/^.*\) /s, "").split(" ")
  const [own, ended] = [Number(fields[11]) + Number(fields[12]), Number(fields[13]) + Number(fields[14])]
  return { parent: Number(fields[1]), own, ended }
}

/** The process, its children at present and those that have ended: Postgres has one for each connection. */
export const cpuSeconds = async (pid: number): Promise<number> => {
  const all = await Promise.all((await readdir("/proc")).filter((name) => /^\d+$/.test(name)).map((name) => fieldsOf(name).catch(() => undefined)))
  const { ended, own } = await fieldsOf(pid)
  const children = all.filter((process) => process?.parent === pid).reduce((sum, process) => sum + process!.own, 0)
  return (own + ended + children) / ticksPerSecond
}
