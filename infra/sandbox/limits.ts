/** What one build may take of a worker. */
import { totalmem } from "node:os"
import { Schema } from "effect"
import { ByteSize } from "../../domain/policy-document.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"

export interface Limits {
  /** Bytes: of all its processes together, and of each of them alone. Trees that are made in memory do not count. */
  readonly memory: number
  /** Processes and threads at once. */
  readonly processes: number
  /** Bytes in its workspace. */
  readonly disk: number
  /** Processors, in whole or in part; all of them where nothing is said. Whole ones, and no more than a request, without a control group. */
  readonly cpus?: number
  /** A control group to divide among builds: a folder, or `own` for the one that this process is in. */
  readonly cgroup?: string
  /** Bytes of trees in memory that come on top, since control groups count those too. */
  readonly scratch?: number
}

/** What a build can want too much of. */
export type Limited = "memory" | "processes" | "disk"

const giga = 2 ** 30

const decode = Schema.decodeUnknownSync(ByteSize)
/** Such as "4 GiB"; throws with the name of the setting. */
export const bytesOf = (name: string, text: string): number => {
  const size = Number(text)
  try {
    return decode(Number.isNaN(size) ? text : size)
  } catch {
    throw new Error(`${name}: ${JSON.stringify(text)} is no size, such as "4 GiB", or a number of bytes`)
  }
}

const bytes = (name: string, text: string | undefined, fallback: number) => (text === undefined || text === "" ? fallback : bytesOf(name, text))

const count = (name: string, text: string | undefined, fallback: number): number => {
  const found = text === undefined || text === "" ? fallback : Number(text)
  if (!Number.isInteger(found) || found < 16) throw new Error(`${name}: ${JSON.stringify(text)} is no number of processes, 16 at least`)
  return found
}

const cpus = (text: string | undefined): Pick<Limits, "cpus"> => {
  if (text === undefined || text === "") return {}
  const found = Number(text)
  if (!(found >= 0.05 && found <= 4096)) throw new Error(`KILN_BUILD_CPUS: ${JSON.stringify(text)} is no number of processors, such as 1.5`)
  return { cpus: found }
}

const cgroup = (text: string | undefined): Pick<Limits, "cgroup"> => {
  if (text === undefined || text === "") return {}
  if (text !== "own" && !/^\/[^\n]*$/.test(text)) throw new Error(`KILN_CGROUP: ${JSON.stringify(text)} is neither "own" nor the absolute path of a control group`)
  return { cgroup: text }
}

/** Reads KILN_BUILD_MEMORY, KILN_BUILD_PROCESSES, KILN_BUILD_DISK, KILN_BUILD_CPUS and KILN_CGROUP. */
export const limitsOf = (env: Readonly<Record<string, string | undefined>>): Limits => ({
  memory: bytes("KILN_BUILD_MEMORY", env["KILN_BUILD_MEMORY"], Math.min(4 * giga, Math.max(giga, Math.floor(totalmem() / 2)))),
  processes: count("KILN_BUILD_PROCESSES", env["KILN_BUILD_PROCESSES"], 1024),
  disk: bytes("KILN_BUILD_DISK", env["KILN_BUILD_DISK"], 32 * giga),
  ...cpus(env["KILN_BUILD_CPUS"]),
  ...cgroup(env["KILN_CGROUP"])
})

const inWords = (size: number) => (size % giga === 0 ? `${size / giga} GiB` : `${Math.round(size / 2 ** 20)} MiB`)

/** Another try would end the same way, so it is for whoever chose the packages, or set the limit, to change something. */
export const exceeded = (what: Limited, limits: Limits, excerpt = ""): BuildFailed => {
  const words: Record<Limited, string> = {
    memory: `more memory than the ${inWords(limits.memory)} that a build may have on this worker (KILN_BUILD_MEMORY)`,
    processes: `more processes than the ${limits.processes} that a build may have on this worker (KILN_BUILD_PROCESSES)`,
    disk: `more of the disk than the ${inWords(limits.disk)} that a build may have on this worker (KILN_BUILD_DISK)`
  }
  return new BuildFailed({ class: "user", message: `the build wanted ${words[what]}`, ...(excerpt && { excerpt }) })
}

/** How programs put it when they hit a limit. */
const signs: ReadonlyArray<readonly [Limited, RegExp]> = [
  ["processes", /fork[^\n]*(Resource temporarily unavailable|Cannot|cannot)|(Cannot|cannot|Can't|can't|unable to) fork|retry: Resource temporarily unavailable/],
  ["memory", /Cannot allocate memory|[Oo]ut of memory|memory exhausted|MemoryError/],
  ["disk", /File size limit exceeded|File too large/]
]

export const limitHit = (tail: ReadonlyArray<string>): Limited | undefined =>
  signs.find(([, sign]) => tail.some((line) => sign.test(line)))?.[0]

