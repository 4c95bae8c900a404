/** `Artifacts` in a folder, each file under its own digest: `<folder>/sha256/ab/<hex>`. */
import { randomBytes } from "node:crypto"
import { constants, createReadStream, createWriteStream, statSync, utimesSync } from "node:fs"
import { chmod, copyFile, link, mkdir, open, rename, rm, stat, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { pipeline } from "node:stream/promises"
import * as NodeStream from "@effect/platform-node/NodeStream"
import { Effect, Layer, Stream } from "effect"
import { Digest } from "../../domain/ids.ts"
import { Artifacts, ArtifactsUnavailable } from "../../domain/ports/artifacts.ts"

/** Large enough that a download spends its time in the kernel, small enough to have many at once. */
const chunkSize = 128 * 1024

export const ArtifactsFiles = (folder: string): Layer.Layer<Artifacts> =>
  Layer.succeed(Artifacts, Artifacts.of({
    put: Effect.fnUntraced(function*(file, digest) {
      const place = placeOf(folder, digest)
      const size = yield* attempt(async (signal) => await used(place) ?? await takeIn(file, place, signal))
      return { digest, size }
    }),
    remove: (digest, unusedSince) => attempt(() => discard(placeOf(folder, digest), unusedSince)),
    path: (digest) => attempt(async () => sizeOf(placeOf(folder, digest)) === undefined ? undefined : placeOf(folder, digest)),
    size: (digest) => attempt(async () => sizeOf(placeOf(folder, digest))),
    read: (digest, start, end) =>
      end < start ? Stream.empty : NodeStream.fromReadable({
        evaluate: () => createReadStream(placeOf(folder, digest), { start, end, highWaterMark: chunkSize }),
        onError: unavailable
      })
  }))

/** The path is made of the digest alone, so nothing but a digest may pass. */
const placeOf = (folder: string, digest: Digest): string => {
  const hex = Digest.make(digest).slice("sha256:".length)
  return join(folder, "sha256", hex.slice(0, 2), hex)
}

/** Asks the kernel at once: handing so small a question to a thread takes longer. */
const sizeOf = (place: string): number | undefined => statSync(place, { throwIfNoEntry: false })?.size

/** The mark comes first: whoever removes the file at the same time sees it, or the file is gone here. */
const used = async (place: string): Promise<number | undefined> => {
  if (sizeOf(place) === undefined) return undefined
  await mark(place)
  return sizeOf(place)
}

/** When it was last put; times of the file itself change with every other name that it has. */
const markOf = (place: string) => `${place}.used`
const mark = async (place: string) => {
  const now = new Date()
  try {
    // As with sizes: the kernel is asked at once.
    utimesSync(markOf(place), now, now)
  } catch (error) {
    ifGone(error)
    await writeFile(markOf(place), "")
  }
}

/** Out of the way first, then a look at who has put it meanwhile. Killed in between, the next one goes on from there. */
const discard = async (place: string, unusedSince: number) => {
  if (sinceOf(place) > unusedSince) return
  const aside = `${place}.gone`
  await rename(place, aside).catch(ifGone)
  if (sinceOf(place) > unusedSince) await link(aside, place).catch(ifThere)
  else await rm(markOf(place), { force: true })
  await rm(aside, { force: true })
}

const sinceOf = (place: string): number => statSync(markOf(place), { throwIfNoEntry: false })?.mtimeMs ?? 0

const ifGone = (error: unknown) => {
  if (codeOf(error) !== "ENOENT") throw error
}
const ifThere = (error: unknown) => {
  if (codeOf(error) !== "EEXIST" && codeOf(error) !== "ENOENT") throw error
}

/** Complete and on disk under another name first; only then does it get the name by which it is found. */
const takeIn = async (file: string, place: string, signal: AbortSignal): Promise<number> => {
  await mkdir(dirname(place), { recursive: true })
  const draft = `${place}.${process.pid}.${randomBytes(6).toString("hex")}`
  try {
    await linkOrCopy(file, draft, signal)
    await chmod(draft, 0o444)
    await sync(draft)
    await mark(place)
    signal.throwIfAborted()
    await rename(draft, place)
    await sync(dirname(place))
    return (await stat(place)).size
  } finally {
    await rm(draft, { force: true })
  }
}

const cannotLink = new Set(["EXDEV", "EPERM", "EMLINK", "ENOTSUP", "EOPNOTSUPP", "EACCES", "ENOSYS"])

const linkOrCopy = async (file: string, draft: string, signal: AbortSignal) => {
  try {
    await link(file, draft)
  } catch (error) {
    if (!cannotLink.has(codeOf(error) ?? "")) throw error
    await copy(file, draft, signal)
  }
}

/** By reference where the file system can; else byte by byte, for as long as somebody wants it. */
const copy = async (file: string, draft: string, signal: AbortSignal) => {
  try {
    await copyFile(file, draft, constants.COPYFILE_FICLONE_FORCE | constants.COPYFILE_EXCL)
  } catch {
    await rm(draft, { force: true })
    await pipeline(createReadStream(file, { highWaterMark: 1 << 20 }), createWriteStream(draft, { flags: "wx" }), { signal })
  }
}

const sync = async (path: string) => {
  const handle = await open(path, "r")
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

const codeOf = (error: unknown): string | undefined => (error as NodeJS.ErrnoException).code

const attempt = <A>(run: (signal: AbortSignal) => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

const unavailable = (error: unknown): ArtifactsUnavailable => {
  const full = codeOf(error) === "ENOSPC" || codeOf(error) === "EDQUOT"
  const message = full
    ? "the disk that holds the artifacts is full"
    : `the artifact store cannot be used: ${codeOf(error) ?? "unknown error"}`
  return new ArtifactsUnavailable({ message, full })
}
