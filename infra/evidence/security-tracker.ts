/** `Advisories` from a copy of the Debian security tracker's `data.json`, read again when the file has changed. */
import { stat } from "node:fs/promises"
import { Worker } from "node:worker_threads"
import { Effect, Layer } from "effect"
import type { Advisory } from "../../domain/evidence/vulnerabilities.ts"
import { Advisories, AdvisoriesUnavailable } from "../../domain/ports/advisories.ts"
import { codenames, type Flaw, type TrackerIndex } from "./tracker-reader.ts"

const unavailable = (reason: AdvisoriesUnavailable["reason"], message: string) => new AdvisoriesUnavailable({ reason, message })

export const AdvisoriesNone = Layer.succeed(Advisories, Advisories.of({
  about: () => Effect.fail(unavailable("NotConfigured", "no security data here: an operator sets KILN_SECURITY_TRACKER to a copy of the Debian security tracker's data.json"))
}))

export const AdvisoriesDebian = (file: string) =>
  Layer.sync(Advisories, () => {
    const tracker = new Tracker(file)
    return Advisories.of({
      about: Effect.fn("Advisories.about")(function*(distribution, sources) {
        const release = codenames[/^debian-(\d+)(?:-|$)/.exec(distribution)?.[1] ?? ""]
        if (release === undefined) return yield* unavailable("NotCovered", `the security data is of Debian, and says nothing of ${distribution}`)
        const { asOf, index } = yield* Effect.tryPromise({
          try: () => tracker.current(),
          catch: (error) => unavailable("Unreadable", `the security data cannot be read: ${(error as Error).message}`)
        })
        if (!index.releases.has(release)) return yield* unavailable("NotCovered", `the security data says nothing of ${release}`)
        return { bySource: new Map(sources.map((source) => [source, advisoriesOf(index.sources.get(source), release)])), asOf }
      })
    })
  })

/** The text is of our own reader. */
const advisoriesOf = (text: string | undefined, release: string): ReadonlyArray<Advisory> =>
  (JSON.parse(text ?? "[]") as ReadonlyArray<Flaw>).flatMap(({ releases, ...flaw }) => {
    const state = releases[release]
    return state === undefined ? [] : [{ ...flaw, ...state }]
  })

interface Read {
  readonly index: TrackerIndex
  readonly asOf: number
}

class Tracker {
  #version = ""
  #read: Promise<Read> | undefined

  readonly #file: string

  constructor(file: string) {
    this.#file = file
  }

  /** However many ask at once, it is read once. */
  async current(): Promise<Read> {
    const { ino, mtimeMs, size } = await stat(this.#file)
    const version = `${ino} ${mtimeMs} ${size}`
    if (this.#read === undefined || version !== this.#version) {
      this.#version = version
      const reading = readInThread(this.#file).then((index) => ({ index, asOf: mtimeMs }))
      this.#read = reading
      // What could not be read is tried again by the next who asks.
      reading.catch(() => {
        if (this.#read === reading) this.#read = undefined
      })
    }
    return this.#read
  }
}

/** Tens of megabytes of JSON would hold up all requests for as long as they are read. */
const readInThread = (tracker: string) =>
  new Promise<TrackerIndex>((resolve, reject) => {
    const thread = new Worker(new URL("./tracker-reader.ts", import.meta.url), { workerData: { tracker }, resourceLimits: { maxOldGenerationSizeMb: 512 } })
    thread.once("message", (index: TrackerIndex) => {
      resolve(index)
      void thread.terminate()
    }).once("error", reject).once("exit", (code) => reject(new Error(`its reader ended with code ${code}`)))
  })
