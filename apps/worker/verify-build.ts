/** Builds an image once more, from what it was built from, and says whether the same comes out. Nothing of it is kept. */
import { createWriteStream } from "node:fs"
import { stat } from "node:fs/promises"
import { join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Effect, Stream } from "effect"
import type { Artifact } from "../../domain/artifact.ts"
import { Digest } from "../../domain/ids.ts"
import { differencesOf } from "../../domain/image-difference.ts"
import { Artifacts } from "../../domain/ports/artifacts.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import { BuildFailed, type BuiltFile } from "../../domain/ports/image-builder.ts"
import { ImageContents } from "../../domain/ports/image-contents.ts"
import { listed, otherTools } from "../../domain/verification.ts"
import { WorkOutcome, type WorkItem } from "../../domain/work.ts"
import { readInventory } from "./evidence.ts"
import type { JobContext } from "./handle-job.ts"

const { Verified } = WorkOutcome.cases

interface Made {
  readonly manifest: Digest
  /** Of the builder here. */
  readonly revision: string | undefined
}

/** `build` is only begun if this worker would build what is asked for. */
export const verifyBuild = Effect.fnUntraced(function*<R>(
  expected: NonNullable<WorkItem["verify"]>,
  { manifest, revision }: Made,
  build: Effect.Effect<BuiltFile, BuildFailed, R>,
  { report, workspace }: JobContext
) {
  if (manifest !== expected.manifest) {
    return yield* new BuildFailed({ class: "platform", message: `the image was built from manifest ${expected.manifest}, which would be ${manifest} today` })
  }
  const file = yield* build
  const artifact = yield* artifactOf(file)
  if (artifact.digest === expected.artifact.digest) {
    report.line(`the same bytes: ${artifact.digest}`)
    return Verified.make({ verdict: "identical", manifest, artifact, differences: [], more: 0 })
  }
  report.line(`other bytes: ${artifact.digest}, and ${expected.artifact.digest} before`)
  const found = yield* differences(expected.artifact, file.path, workspace)
  const tools = otherTools(expected.tools, (yield* readInventory(file, report))?.tools)
  const why = [
    ...(expected.revision === revision ? [] : [otherRevision(expected.revision, revision)]),
    ...(tools === undefined ? [] : [tools])
  ]
  const notes = typeof found === "string" ? [found, ...why] : why
  const note = notes.length === 0 ? {} : { note: notes.join("; ") }
  if (typeof found === "string") return Verified.make({ verdict: "different", manifest, artifact, differences: [], more: 0, ...note })
  return Verified.make({ verdict: found.length === 0 ? "same-contents" : "different", manifest, artifact, ...listed(found), ...note })
})

const shortOf = (revision: string | undefined) => revision?.slice(0, 12)

const otherRevision = (before: string | undefined, here: string | undefined) =>
  `it was built first by ${before === undefined ? "another version" : `revision ${shortOf(before)}`} of the builder, and now by ${
    here === undefined ? "one that has no revisions" : `revision ${shortOf(here)}`}, which may be all the difference`

const artifactOf = Effect.fnUntraced(function*({ filename, format, mediaType, path }: BuiltFile): Effect.fn.Return<Artifact, BuildFailed, ImageContents> {
  const digest = yield* (yield* ImageContents).digest(path).pipe(Effect.mapError(({ message }) => new BuildFailed({ class: "platform", message })))
  const { size } = yield* Effect.promise(() => stat(path))
  return { digest: Digest.make(`sha256:${digest}`), size, format, filename, mediaType }
})

/** By file, or why that cannot be said. */
const differences = Effect.fnUntraced(function*(before: Artifact, made: string, workspace: string) {
  const contents = yield* ImageContents
  const original = yield* originalOf(before, workspace)
  if (original === undefined) return "the image that was built first is not within this worker's reach, so only its digest was compared"
  return differencesOf(yield* contents.read(original), yield* contents.read(made))
}, Effect.catch(({ message }) => Effect.succeed(`what is in the images could not be compared: ${message}`)))

/** From this worker's disk, or from the store. */
const originalOf = Effect.fnUntraced(function*({ digest, size }: Artifact, workspace: string) {
  const held = yield* (yield* HeldImages).path(digest)
  if (held !== undefined) return held
  const artifacts = yield* Artifacts
  if ((yield* artifacts.size(digest)) !== size) return undefined
  const copy = join(workspace, "image-built-first")
  yield* Effect.tryPromise({
    try: (signal) => pipeline(Stream.toAsyncIterable(artifacts.read(digest, 0, size - 1)), createWriteStream(copy, { flags: "wx" }), { signal }),
    catch: (error) => error as Error
  })
  return copy
})
