/** What may still be had of this machine's memory: of the machine's own, and of what each group that this process is in allows. */
import { readFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { groupHere } from "./worker-group.ts"

const text = (path: string) => readFile(path, "utf8").catch(() => "")
const countIn = (stat: string, name: string) => Number(new RegExp(`^${name} (\\d+)$`, "m").exec(stat)?.[1] ?? 0)

/** Pages of files are given back when they are wanted. */
const freeIn = (most: string, used: string, stat: string): number => {
  const free = Number.parseInt(most, 10) - Number.parseInt(used, 10) + countIn(stat, "inactive_file") + countIn(stat, "active_file")
  return Number.isFinite(free) ? free : Infinity
}

const freeInGroup = async (dir: string): Promise<number> =>
  freeIn(...await Promise.all([text(join(dir, "memory.max")), text(join(dir, "memory.current")), text(join(dir, "memory.stat"))]))

/** From one folder to the other above it. */
const upTo = (top: string, dir: string): ReadonlyArray<string> =>
  dir === top || dir === dirname(dir) ? [dir] : [dir, ...upTo(top, dirname(dir))]

const version1 = "/sys/fs/cgroup/memory"

export const freeMemory = async (here = groupHere()): Promise<number> => {
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(await text("/proc/meminfo"))?.[1] ?? 0) * 1024
  const groups = here === undefined ? [] : upTo(here.top, here.dir)
  const first = freeIn(...await Promise.all([
    text(join(version1, "memory.limit_in_bytes")), text(join(version1, "memory.usage_in_bytes")), Promise.resolve("")
  ]))
  return Math.min(available, first, ...await Promise.all(groups.map(freeInGroup)))
}
