/**
 * Where this worker has a control group to divide, each build gets one of its own: then the kernel keeps the limits of all
 * its processes together, with what they have in shared memory and in trees that lie in memory.
 */
import { randomBytes } from "node:crypto"
import { mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { setTimeout } from "node:timers/promises"
import { basename, dirname, join } from "node:path"
import { Effect, type Scope } from "effect"
import type { Limits } from "./limits.ts"

export interface Group {
  readonly dir: string
  /** The limit that was hit, if one was. */
  readonly hit: () => "memory" | "processes" | undefined
}

/** Where the processes of Kiln itself are, below the group that is divided. */
const ownName = "kiln"
const needed = ["memory", "pids"]
const welcome = "cpu"
const removeTries = 100

const wordsOf = (path: string): ReadonlyArray<string> => readFileSync(path, "utf8").split(/\s+/).filter((word) => word !== "")

/** The folder of the group that this process was begun in. */
export const ownGroup = (mountinfo = readFileSync("/proc/self/mountinfo", "utf8"), cgroup = readFileSync("/proc/self/cgroup", "utf8")): string | undefined => {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1]
  const [, root = "", place] = /^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 /m.exec(mountinfo) ?? []
  if (path === undefined || place === undefined) return undefined
  const dir = join(place, path.startsWith(root) ? path.slice(root.length) : path)
  // Another process of Kiln in the same group has moved this one there.
  return basename(dir) === ownName ? dirname(dir) : dir
}

/** Why a folder cannot be divided. */
class NotDivisible extends Error {}

/** A group that has limited ones below it may have no processes of its own: this one goes into one of those. */
const divided = (dir: string, cpus: boolean): string => {
  const has = wordsOf(join(dir, "cgroup.controllers"))
  const missing = [...needed, ...cpus ? [welcome] : []].filter((controller) => !has.includes(controller))
  if (missing.length > 0) throw new NotDivisible(`${dir} does not have the controllers ${missing.join(" and ")}`)
  const on = wordsOf(join(dir, "cgroup.subtree_control"))
  const off = [...needed, welcome].filter((controller) => has.includes(controller) && !on.includes(controller))
  if (off.length === 0) return dir
  const own = join(dir, ownName)
  mkdirSync(own, { recursive: true })
  for (const pid of wordsOf(join(dir, "cgroup.procs"))) writeFileSync(join(own, "cgroup.procs"), pid)
  writeFileSync(join(dir, "cgroup.subtree_control"), off.map((controller) => `+${controller}`).join(" "))
  return dir
}

const parents = new Map<string, string>()

/** Throws where there is none of that name, or none that can be divided: whoever asks for limits must not go without. */
export const parentGroup = (named: string, cpus = false): string => {
  const known = parents.get(named)
  if (known !== undefined) return known
  const dir = named === "own" ? ownGroup() : named
  if (dir === undefined) throw new NotDivisible("this machine has no control groups of version 2")
  const parent = divided(dir, cpus)
  parents.set(named, parent)
  return parent
}

const countIn = (dir: string, file: string, name: string): number => {
  try {
    return Number(new RegExp(`^${name} (\\d+)$`, "m").exec(readFileSync(join(dir, file), "utf8"))?.[1] ?? 0)
  } catch {
    return 0
  }
}

const make = (parent: string, limits: Limits): Group => {
  const dir = join(parent, `build-${randomBytes(6).toString("hex")}`)
  mkdirSync(dir)
  try {
    limit(dir, limits)
  } catch (error) {
    rmdirSync(dir)
    throw error
  }
  return {
    dir,
    hit: () => countIn(dir, "memory.events", "oom_kill") > 0 ? "memory" : countIn(dir, "pids.events", "max") > 0 ? "processes" : undefined
  }
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

/** Whatever is in there ends; a group can go when the last of it is gone. */
const remove = async ({ dir }: Group): Promise<void> => {
  for (let tries = 0; tries < removeTries; tries++) {
    try {
      writeFileSync(join(dir, "cgroup.kill"), "1")
    } catch {
      // Older than Linux 5.14, or gone: then the sandbox ends its processes by itself.
    }
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
