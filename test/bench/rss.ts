import { readFile } from "node:fs/promises"

const field = async (pid: number, name: string) =>
  Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024

/** MiB of memory that a process has now. */
export const rss = (pid: number): Promise<number> => field(pid, "VmRSS")

/** MiB, the most it ever had. */
export const peakRss = (pid: number): Promise<number> => field(pid, "VmHWM")
