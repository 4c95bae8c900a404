/**
 * Where this worker has a control group to divide, each build gets one of its own: then the kernel keeps the limits of all
 * its processes together, with what they have in shared memory and in trees that lie in memory.
 */
import { randomBytes } from "node:crypto"
import { mkdirSync, readdirSync, readFileSync, readlinkSync, rmdirSync, writeFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import { join } from "node:path"
import { Effect, type Scope } from "effect"
import type { Limits } from "./limits.ts"
import { parentGroup } from "./worker-group.ts"

export interface Group {
  readonly dir: string
  /** The limit that was hit, if one was; `starved`: something was ended for want of memory that others have taken. */
  readonly hit: () => "memory" | "processes" | "starved" | undefined
}

const removeTries = 100

const countIn = (dir: string, file: string, name: string): number => {
  try {
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(readFileSync(join(dir, file), "utf8"))?.[1] ?? 0)
  } catch {
    return 0
  }
}

/** The kernel tells a group of its own limit only that it was reached, but of each end, whosever limit was the reason. */
const hitOf = (dir: string): ReturnType<Group["hit"]> => {
  const memory = (name: string) => countIn(dir, "memory.events", name)
  if (memory("oom_kill") > 0) return memory("oom") > 0 ? "memory" : "starved"
  return countIn(dir, "pids.events", "max") > 0 ? "processes" : undefined
}

const limit = (dir: string, { cpus, memory, processes, scratch = 0 }: Limits): void => {
  const set = (name: string, value: number | string) => writeFileSync(join(dir, name), String(value))
  const setIfThere = (name: string, value: number | string) => {
    try {
      set(name, value)
    } catch {
      // Not every kernel has it.
    }
  }
  set("memory.max", memory + scratch)
  set("pids.max", processes)
  setIfThere("memory.swap.max", 0)
  // One without the others would be of no use, and might hang.
  setIfThere("memory.oom.group", 1)
  setIfThere("cpu.weight", 50)
  if (cpus !== undefined) set("cpu.max", `${Math.round(cpus * 100_000)} 100000`)
}

/** Numbers of processes mean something in their namespace alone. */
const space = () => /\d+/.exec(readlinkSync("/proc/self/ns/pid"))?.[0] ?? "0"

const make = (parent: string, limits: Limits): Group => {
  sweep(parent)
  const dir = join(parent, `build-${space()}.${process.pid}-${randomBytes(6).toString("hex")}`)
  mkdirSync(dir)
  try {
    limit(dir, limits)
  } catch (error) {
    rmdirSync(dir)
    throw error
  }
  return { dir, hit: () => hitOf(dir) }
}

const isAlive = (pid: number): boolean => {
  try {
    return process.kill(pid, 0)
  } catch (error) {
    return (error as NodeJS.ErrnoException).code !== "ESRCH"
  }
}

const kill = (dir: string): void => {
  try {
    writeFileSync(join(dir, "cgroup.kill"), "1")
  } catch {
    // Older than Linux 5.14, or gone: then the sandbox ends its processes by itself.
  }
}

/** What a worker has left that was killed itself. A group of which something lives for another moment goes with a later build. */
const sweep = (parent: string): void => {
  for (const name of readdirSync(parent)) {
    const [, where, pid] = /^build-(\d+)\.(\d+)-/.exec(name) ?? []
    if (where !== space() || isAlive(Number(pid))) continue
    kill(join(parent, name))
    try {
      rmdirSync(join(parent, name))
    } catch {
      // Later.
    }
  }
}

/** Whatever is in there ends; a group can go when the last of it is gone. */
const remove = async ({ dir }: Group): Promise<void> => {
  for (let tries = 0; tries < removeTries; tries++) {
    kill(dir)
    try {
      return rmdirSync(dir)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return
      await setTimeout(20)
    }
  }
}

/** Nothing where no group is named. */
export const groupOf = (limits: Limits): Effect.Effect<Group | undefined, Error, Scope.Scope> => {
  const { cgroup } = limits
  return cgroup === undefined
    ? Effect.undefined
    : Effect.acquireRelease(
      Effect.try({ try: () => make(parentGroup(cgroup, limits.cpus !== undefined), limits), catch: (error) => error as Error }),
      (group) => Effect.promise(() => remove(group))
    )
}

/** Why builds cannot have groups, where they are to have some. */
export const groupObstacle = ({ cgroup, cpus }: Limits): string | undefined => {
  if (cgroup === undefined) return undefined
  try {
    parentGroup(cgroup, cpus !== undefined)
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}
