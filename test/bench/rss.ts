import { readFile } from "node:fs/promises"

/** MiB of memory that a process has now. */
export const rss = async (pid: number): Promise<number> =>
  Number(/VmRSS:\s+(\d+) kB/.exec(await readFile(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024
