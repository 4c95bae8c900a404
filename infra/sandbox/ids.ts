/** Whose ids a build has: root's never, if it can be helped. */
import { readFileSync } from "node:fs"

export type Prefix = readonly [string, ...ReadonlyArray<string>]

export const isRoot = () => process.geteuid?.() === 0

const mapped: ReadonlyArray<string> = ["unshare", "--user", "--map-root-user", "--map-auto"]

/** To touch files of builds: for a user, as root of his subordinate ids. Goes before a program and its arguments. */
export const mappedPrefix = (): ReadonlyArray<string> => (isRoot() ? [] : mapped)

/** Far from the ids of people, of services, and of what systemd and container engines give out by themselves. */
const usual = 1_879_048_192
const wanted = 65_536

/**
 * For root: the first of the ids that stand for those of a build. A worker that is root of a container may have few; then
 * they stand for themselves, and are no root's outside of the container.
 */
export const firstId = (map = readFileSync("/proc/self/uid_map", "utf8")): number =>
  map.trim().split("\n").some((line) => {
    const [inside = 0, , count = 0] = line.trim().split(/\s+/).map(Number)
    return inside <= usual && usual + wanted <= inside + count
  })
    ? usual
    : 0
