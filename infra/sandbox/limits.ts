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
}

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

/** Reads KILN_BUILD_MEMORY, KILN_BUILD_PROCESSES and KILN_BUILD_DISK. */
export const limitsOf = (env: Readonly<Record<string, string | undefined>>): Limits => ({
  memory: bytes("KILN_BUILD_MEMORY", env["KILN_BUILD_MEMORY"], Math.min(4 * giga, Math.max(giga, Math.floor(totalmem() / 2)))),
  processes: count("KILN_BUILD_PROCESSES", env["KILN_BUILD_PROCESSES"], 1024),
  disk: bytes("KILN_BUILD_DISK", env["KILN_BUILD_DISK"], 32 * giga)
})

const inWords = (size: number) => (size % giga === 0 ? `${size / giga} GiB` : `${Math.round(size / 2 ** 20)} MiB`)

/** Another try would end the same way, so it is for whoever chose the packages, or set the limit, to change something. */
export const exceeded = (what: keyof Limits, limits: Limits, excerpt = ""): BuildFailed => {
  const words: Record<keyof Limits, string> = {
    memory: `more memory than the ${inWords(limits.memory)} that a build may have on this worker (KILN_BUILD_MEMORY)`,
    processes: `more processes than the ${limits.processes} that a build may have on this worker (KILN_BUILD_PROCESSES)`,
    disk: `more of the disk than the ${inWords(limits.disk)} that a build may have on this worker (KILN_BUILD_DISK)`
  }
  return new BuildFailed({ class: "user", message: `the build wanted ${words[what]}`, ...(excerpt && { excerpt }) })
}

/** How programs put it when they hit a limit. */
const signs: ReadonlyArray<readonly [keyof Limits, RegExp]> = [
  ["processes", /fork[^\n]*(Resource temporarily unavailable|Cannot|cannot)|(Cannot|cannot|Can't|can't|unable to) fork|retry: Resource temporarily unavailable/],
  ["memory", /Cannot allocate memory|[Oo]ut of memory|memory exhausted|MemoryError/],
  ["disk", /File size limit exceeded|File too large/]
]

export const limitHit = (tail: ReadonlyArray<string>): keyof Limits | undefined =>
  signs.find(([, sign]) => tail.some((line) => sign.test(line)))?.[0]

