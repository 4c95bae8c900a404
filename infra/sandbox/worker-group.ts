/** The control group (version 2) that a worker may divide among its builds: where it is, and how it comes to have groups below it. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from "node:fs"
import { basename, dirname, join } from "node:path"

/** Where the processes of Kiln itself are, below the group that is divided. */
const ownName = "kiln"
const needed = ["memory", "pids"]
const welcome = "cpu"
const moveTries = 20

const wordsOf = (path: string): ReadonlyArray<string> => readFileSync(path, "utf8").split(/\s+/).filter((word) => word !== "")

/** The folder of the group that this process is in, and of the uppermost one that it can see. */
export const groupHere = (mountinfo = readFileSync("/proc/self/mountinfo", "utf8"), cgroup = readFileSync("/proc/self/cgroup", "utf8")) => {
  const path = /^0::(\/.*)$/m.exec(cgroup)?.[1]
  const [, root = "", place] = /^\S+ \S+ \S+ (\S+) (\S+) .* - cgroup2 /m.exec(mountinfo) ?? []
  if (path === undefined || place === undefined) return undefined
  return { dir: join(place, path.startsWith(root) ? path.slice(root.length) : path), top: place }
}

/** The folder of the group that this process was begun in. */
export const ownGroup = (...seen: Parameters<typeof groupHere>): string | undefined => {
  const dir = groupHere(...seen)?.dir
  // Another process of Kiln in the same group has moved this one there.
  return dir !== undefined && basename(dir) === ownName ? dirname(dir) : dir
}

/** Why a folder cannot be divided. */
class NotDivisible extends Error {}

const codeOf = (error: unknown) => (error as NodeJS.ErrnoException).code

const delegation = "Delegate=memory pids cpu gives that to a unit of systemd"

const reasons: Partial<Record<string, string>> = {
  ENOENT: "is no control group of version 2",
  EROFS: "can only be read here: a container, or ProtectControlGroups= of a unit, keeps it so",
  EACCES: `does not belong to this worker; ${delegation}`,
  EPERM: `does not belong to this worker; ${delegation}`,
  EBUSY: "has processes that cannot be moved out of it"
}

const named = (dir: string, error: unknown): Error => {
  const reason = reasons[codeOf(error) ?? ""]
  return error instanceof NotDivisible || reason === undefined ? error as Error : new NotDivisible(`${dir} ${reason}`)
}

/** Without `recursive`, which hides why it could not be made. */
const makeUnlessThere = (dir: string): void => {
  try {
    mkdirSync(dir)
  } catch (error) {
    if (codeOf(error) !== "EEXIST") throw error
  }
}

/** Those that have ended meanwhile need not be moved. */
const moveAll = (dir: string, to: string): void => {
  const pids = wordsOf(join(dir, "cgroup.procs"))
  if (pids.length > 0) makeUnlessThere(to)
  for (const pid of pids) {
    try {
      writeFileSync(join(to, "cgroup.procs"), pid)
    } catch (error) {
      if (codeOf(error) !== "ESRCH") throw error
    }
  }
}

/** A group that has limited ones below it may have no processes of its own, unless it is the machine's first: this one goes into one of those. */
const divide = (dir: string, cpus: boolean): void => {
  const has = wordsOf(join(dir, "cgroup.controllers"))
  const missing = [...needed, ...cpus ? [welcome] : []].filter((controller) => !has.includes(controller))
  if (missing.length > 0) throw new NotDivisible(`${dir} does not have the controllers ${missing.join(" and ")}; ${delegation}`)
  const on = wordsOf(join(dir, "cgroup.subtree_control"))
  const off = [...needed, welcome].filter((controller) => has.includes(controller) && !on.includes(controller))
  if (off.length === 0) return
  const isFirst = !existsSync(join(dir, "cgroup.type"))
  for (let tries = 1;; tries++) {
    if (!isFirst) moveAll(dir, join(dir, ownName))
    try {
      return writeFileSync(join(dir, "cgroup.subtree_control"), off.map((controller) => `+${controller}`).join(" "))
    } catch (error) {
      // One of them has begun another one meanwhile.
      if (codeOf(error) !== "EBUSY" || tries === moveTries) throw error
    }
  }
}

/** Whoever is no root may move processes only within what belongs to him: told now, and not by the first build. */
const tryToEnter = (parent: string): void => {
  const dir = join(parent, `try-${process.pid}`)
  makeUnlessThere(dir)
  const { status, stderr } = spawnSync("sh", ["-c", "echo 0 >\"$0/cgroup.procs\"", dir], { encoding: "utf8" })
  try {
    rmdirSync(dir)
  } catch {
    // Empty as it is, it does no harm.
  }
  if (status !== 0) throw new NotDivisible(`${parent} cannot be gone into by this worker, which was begun elsewhere: ${stderr.trim()}`)
}

const parents = new Map<string, string>()

/** Throws where there is none of that name, or none that can be divided: whoever asks for limits must not go without. */
export const parentGroup = (name: string, cpus = false): string => {
  const key = `${cpus} ${name}`
  const known = parents.get(key)
  if (known !== undefined) return known
  const dir = name === "own" ? ownGroup() : name
  if (dir === undefined) throw new NotDivisible("this machine has no control groups of version 2")
  try {
    divide(dir, cpus)
    tryToEnter(dir)
  } catch (error) {
    throw named(dir, error)
  }
  parents.set(key, dir)
  return dir
}
