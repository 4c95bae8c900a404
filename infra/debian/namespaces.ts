/** What this machine has for trees to be made in. */
import { constants } from "node:fs"
import { access, readFile } from "node:fs/promises"
import { Effect } from "effect"

const memoryLimit = async (): Promise<number> => {
  const meminfo = await readFile("/proc/meminfo", "utf8").catch(() => "")
  const available = Number(/^MemAvailable:\s+(\d+) kB/m.exec(meminfo)?.[1] ?? 0) * 1024
  const [limit, used] = await Promise.all([
    readFile("/sys/fs/cgroup/memory.max", "utf8")
      .catch(() => readFile("/sys/fs/cgroup/memory/memory.limit_in_bytes", "utf8"))
      .catch(() => "max"),
    readFile("/sys/fs/cgroup/memory.current", "utf8")
      .catch(() => readFile("/sys/fs/cgroup/memory/memory.usage_in_bytes", "utf8"))
      .catch(() => "0")
  ])
  const left = Number.parseInt(limit, 10) - Number.parseInt(used, 10)
  return Number.isFinite(left) ? Math.min(available, left) : available
}

/** The tmpfs size to work in, or "" for the disk: memory is used only where twice the need is free. */
export const memoryScratch = (needed: number, scratch: "auto" | "disk"): Effect.Effect<string> =>
  Effect.promise(async () =>
    scratch === "auto" && (await memoryLimit()) > 2 * needed ? String(Math.ceil(needed * 1.5)) : ""
  )

export const canWrite = (path: string): Promise<boolean> =>
  access(path, constants.W_OK).then(
    () => true,
    () => false
  )
