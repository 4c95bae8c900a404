/** Which processors a build may use where it may not use all of them and there is no control group to say so. */
import { readFileSync } from "node:fs"

/** Of a list as the kernel writes it, such as `0-3,8`. */
export const processorsIn = (list: string): ReadonlyArray<number> =>
  list.trim().split(",").filter((part) => part !== "").flatMap((part) => {
    const [first = 0, last = first] = part.split("-").map(Number)
    return Array.from({ length: last - first + 1 }, (_, at) => first + at)
  })

/** As many of these as it takes, the next ones each time, so that builds side by side get different ones. All of them: undefined. */
export const lent = (there: ReadonlyArray<number>, cpus: number, turn: number): ReadonlyArray<number> | undefined => {
  const count = Math.ceil(cpus)
  if (count >= there.length) return undefined
  return Array.from({ length: count }, (_, at) => there[(turn * count + at) % there.length]!)
}

let turn = 0

/** What begins a program on the processors that are lent to it; nothing where it may use all. */
export const onProcessors = (cpus: number | undefined): ReadonlyArray<string> => {
  if (cpus === undefined) return []
  const allowed = /^Cpus_allowed_list:\s*(\S+)$/m.exec(readFileSync("/proc/self/status", "utf8"))?.[1] ?? ""
  const processors = lent(processorsIn(allowed), cpus, turn++)
  return processors === undefined ? [] : ["taskset", "--cpu-list", processors.join(",")]
}
