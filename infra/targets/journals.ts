/** Journals as files of one JSON line a note. A note is on disk when it answers; a line that was cut off is none. */
import { createHash } from "node:crypto"
import { chmod, mkdir, open, readdir, readFile, rm, stat, utimes } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer } from "effect"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import type { Journal } from "../../domain/ports/image-targets.ts"
import { type JournalOf, Journals } from "../../domain/ports/journals.ts"

const day = 86_400_000
const keptMs = 14 * day
/** After its job is done. */
const keptDoneMs = day

export const JournalsFiles = (dir: string) => Layer.succeed(Journals, Journals.of({
  open: (of) => Effect.andThen(sweep(dir), journalAt(placeOf(dir, of))),
  close: (of) =>
    Effect.promise(async () => {
      // As old as is needed for the next sweep but a day.
      const old = new Date(Date.now() - keptMs + keptDoneMs)
      await utimes(placeOf(dir, of), old, old).catch(() => {})
    })
}))

const placeOf = (dir: string, { artifact, composeId, jobId, tenantId }: JournalOf) =>
  join(dir, `${createHash("sha256").update(JSON.stringify([tenantId, composeId, jobId, artifact])).digest("hex")}.jsonl`)

const failed = (error: unknown) =>
  new BuildFailed({ class: "platform", message: `the journal of this upload cannot be used: ${(error as NodeJS.ErrnoException).code ?? String(error)}` })

const sweep = (dir: string) => Effect.promise(async () => {
  for (const name of await readdir(dir).catch(() => [])) {
    const path = join(dir, name)
    const seen = await stat(path).catch(() => undefined)
    if (seen !== undefined && Date.now() - seen.mtimeMs > keptMs) await rm(path, { force: true }).catch(() => {})
  }
})

export const journalAt = (path: string): Effect.Effect<Journal, BuildFailed> =>
  Effect.tryPromise({ try: () => load(path), catch: failed }).pipe(Effect.map((noted) => {
    const writer = new Writer(path)
    return {
      read: (step) => noted.get(step),
      // A note that is on its way when its attempt is interrupted may as well arrive.
      note: (step, value) => Effect.uninterruptible(Effect.tryPromise({
        try: async () => {
          await writer.write(`${JSON.stringify([step, value])}\n`)
          noted.set(step, value)
        },
        catch: failed
      }))
    }
  }))

const load = async (path: string): Promise<Map<string, unknown>> => {
  const text = await readFile(path, "utf8").catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error
    return ""
  })
  return new Map(text.split("\n").flatMap((line) => noteIn(line)))
}

const noteIn = (line: string): ReadonlyArray<readonly [string, unknown]> => {
  try {
    return [JSON.parse(line) as readonly [string, unknown]]
  } catch {
    return []
  }
}

/** What is noted while the disk is busy goes together. */
class Writer {
  readonly #path: string
  #waiting: Array<string> = []
  #writing: Promise<void> | undefined
  /** Its folder is there, and it is its owner's alone. */
  #isThere = false

  constructor(path: string) {
    this.#path = path
  }

  async write(line: string): Promise<void> {
    this.#waiting.push(line)
    if (this.#writing !== undefined) await this.#writing.catch(() => {})
    // Somebody who waited beside us may have taken it along.
    if (!this.#waiting.includes(line)) return this.#writing
    this.#writing = this.#flush()
    return this.#writing
  }

  async #flush(): Promise<void> {
    const lines = this.#waiting
    this.#waiting = []
    if (!this.#isThere) await mkdir(join(this.#path, ".."), { recursive: true, mode: 0o700 })
    const file = await open(this.#path, "a", 0o600)
    try {
      // The line before may have been cut off.
      await file.write(`\n${lines.join("")}`)
      await file.datasync()
    } finally {
      await file.close()
    }
    if (!this.#isThere) await chmod(this.#path, 0o600)
    this.#isThere = true
  }
}
