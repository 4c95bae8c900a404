/**
 * One artifact to one file: what has arrived waits under another name beside it, a later run goes on from there,
 * and the file gets its name only after its digest is right.
 */
import { createHash, type Hash } from "node:crypto"
import { createReadStream } from "node:fs"
import { mkdir, open, rename, rm, stat } from "node:fs/promises"
import { basename, join } from "node:path"
import { Data, Duration, Effect, Schedule, Stream } from "effect"
import type { ArtifactView } from "../gateway/api/compose-views.ts"
import { Kiln } from "./client.ts"
import { commandFailed, type CommandFailed, exitCodes } from "./command-failed.ts"

export type Wanted = Pick<ArtifactView, "digest" | "size" | "filename" | "url">

export interface DownloadOptions {
  readonly folder: string
  readonly filename?: string
  /** Called as bytes arrive, with all that are there so far. */
  readonly onBytes?: (done: number) => void
  /** A new link to the same file, for when this one has expired. */
  readonly renew: Effect.Effect<Wanted, CommandFailed, Kiln>
  readonly firstDelay?: Duration.Input
}

/** Worth another try: more may have arrived when it comes. */
class Interrupted extends Data.TaggedError("Interrupted")<{ readonly failure: CommandFailed; readonly progressed: boolean }> {}

const tries = 6

/** The path of the file, and whether it was there already. */
export const downloadFile = Effect.fn("downloadFile")(function*(wanted: Wanted, options: DownloadOptions) {
  const path = join(options.folder, basename(options.filename ?? wanted.filename))
  yield* disk(() => mkdir(options.folder, { recursive: true }))
  if (yield* holds(path, wanted)) return { path, fresh: false }
  // The digest in its name keeps another image of the same name out of it.
  const part = `${path}.${wanted.digest.slice(-12)}.part`
  let failures = 0
  let current = wanted
  const attempt = Effect.suspend(() => fetchRest(current, part, options.onBytes ?? (() => {}))).pipe(
    Effect.catchTag("Interrupted", Effect.fnUntraced(function*(interrupted) {
      failures = interrupted.progressed ? 1 : failures + 1
      if (failures >= tries) return yield* interrupted.failure
      if (interrupted.failure.code === exitCodes.notAllowed) current = yield* options.renew
      return yield* interrupted
    }))
  )
  yield* attempt.pipe(
    Effect.retry({ schedule: backoff(options.firstDelay ?? "500 millis"), while: (error) => error._tag === "Interrupted" }),
    Effect.catchTag("Interrupted", ({ failure }) => Effect.fail(failure))
  )
  yield* disk(() => rename(part, path))
  return { path, fresh: true }
})

const backoff = (first: Duration.Input) =>
  Schedule.exponential(first).pipe(
    Schedule.modifyDelay(({ duration }) => Effect.succeed(Duration.min(duration, Duration.seconds(8))))
  )

const fetchRest = Effect.fnUntraced(function*(wanted: Wanted, part: string, onBytes: (done: number) => void) {
  const hash = createHash("sha256")
  const before = yield* disk(() => taken(part, wanted.size, hash))
  onBytes(before)
  const done = before < wanted.size ? yield* Effect.scoped(append(wanted, part, before, hash, onBytes)) : before
  if (done < wanted.size) {
    const failure = commandFailed("unreachable", `${wanted.filename} stopped after ${done} of ${wanted.size} bytes`)
    return yield* new Interrupted({ failure, progressed: done > before })
  }
  if (`sha256:${hash.digest("hex")}` === wanted.digest && done === wanted.size) return
  yield* disk(() => rm(part, { force: true }))
  return yield* commandFailed("failed", `${wanted.filename} is not what was promised: its SHA-256 is wrong, so it was thrown away`)
})

const append = Effect.fnUntraced(function*(
  wanted: Wanted, part: string, from: number, hash: Hash, onBytes: (done: number) => void
) {
  const kiln = yield* Kiln
  const response = yield* kiln.openLink(wanted.url, from > 0 ? { range: `bytes=${from}-` } : {}).pipe(
    Effect.mapError((failure) =>
      failure.code === exitCodes.unreachable || failure.code === exitCodes.notAllowed
        ? new Interrupted({ failure, progressed: false })
        : failure
    )
  )
  if (from > 0 && response.status !== 206) {
    yield* disk(() => rm(part, { force: true }))
    const failure = commandFailed("unreachable", "the server does not continue a download, so it begins again")
    return yield* new Interrupted({ failure, progressed: false })
  }
  const file = yield* Effect.acquireRelease(disk(() => open(part, "a")), (handle) => Effect.promise(() => handle.close()))
  let done = from
  let since = from
  yield* Stream.fromReadableStream({
    evaluate: (): ReadableStream<Uint8Array> => response.body!,
    onError: () => new Stopped()
  }).pipe(
    Stream.timeoutOrElse({ duration: "60 seconds", orElse: () => Stream.fail(new Stopped()) }),
    Stream.runForEachArray((chunks) => disk(async () => {
      await file.writev([...chunks])
      for (const chunk of chunks) {
        hash.update(chunk)
        done += chunk.length
      }
      if (done - since < 65_536 && done < wanted.size) return
      since = done
      onBytes(done)
    })),
    Effect.catchTag("Stopped", () => Effect.void)
  )
  yield* disk(() => file.sync())
  return done
})

class Stopped extends Data.TaggedError("Stopped") {}

/** How much has arrived before; `hash` has taken it in. More than there can be is no beginning of this file. */
const taken = async (part: string, size: number, hash: Hash) => {
  const there = await sizeOf(part)
  if (there > size) await rm(part)
  if (there === 0 || there > size) return 0
  for await (const chunk of createReadStream(part)) hash.update(chunk as Buffer)
  return there
}

const holds = (path: string, { digest, size }: Wanted) =>
  disk(async () => {
    if (await sizeOf(path) !== size) return false
    const hash = createHash("sha256")
    for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
    return `sha256:${hash.digest("hex")}` === digest
  })

const sizeOf = async (path: string) => (await stat(path).catch(() => undefined))?.size ?? 0

const disk = <A>(run: () => Promise<A>) =>
  Effect.tryPromise({ try: run, catch: (error) => commandFailed("failed", `The file cannot be written: ${(error as Error).message}`) })
