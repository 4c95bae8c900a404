/** What a worker does for each kind of job. Every failure is an outcome: it has a class and a sentence. */
import { createHash } from "node:crypto"
import { Effect, Schema } from "effect"
import { Digest } from "../../domain/ids.ts"
import { buildKeyText, manifestOf } from "../../domain/manifest.ts"
import { Artifacts } from "../../domain/ports/artifacts.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import { BuildFailed, type ImageBuilder, ImageBuilders, type Report, type Secrets } from "../../domain/ports/image-builder.ts"
import { WorkOutcome, type WorkItem } from "../../domain/work.ts"

const { Resolved, Built, Uploaded } = WorkOutcome.cases

/** Nobody has it any more: it has to be built again. */
export class ImageMissing extends Schema.TaggedError<ImageMissing>()("ImageMissing", { message: Schema.String }) {}

export interface JobContext {
  readonly workspace: string
  readonly report: Report
  /** Asks for the job's secrets; only jobs that have any ask. */
  readonly secrets: Effect.Effect<Secrets, { readonly message: string }>
}

export const handleJob = (item: WorkItem, context: JobContext): Effect.Effect<WorkOutcome, BuildFailed | ImageMissing, ImageBuilders | HeldImages | Artifacts> => {
  switch (item.kind) {
    case "resolve":
      return resolveImage(item, context)
    case "build":
      return buildImage(item, context)
    case "upload":
      return uploadImage(item)
  }
}

const resolveImage = Effect.fnUntraced(function*(item: WorkItem, { workspace, report }: JobContext) {
  const builder = yield* builderOf(item)
  return Resolved.make({ lock: yield* builder.resolve(item, workspace, report) })
})

const buildImage = Effect.fnUntraced(function*(item: WorkItem, { workspace, report, secrets }: JobContext) {
  const builder = yield* builderOf(item)
  const held = yield* HeldImages
  const manifest = manifestOf(builder.name, item, item.lock)
  const digest = Digest.make(`sha256:${createHash("sha256").update(buildKeyText(manifest)).digest("hex")}`)
  const known = builder.alwaysBuilds ? undefined : yield* held.find(digest)
  if (known !== undefined) {
    report.line(`manifest ${digest} was built before; its image is used again`)
    return Built.make({ manifest: digest, artifact: known, reused: true })
  }
  const open = hasSecrets(item) ? yield* Effect.mapError(secrets, ({ message }) => new BuildFailed({ class: "platform", message })) : new Map<string, string>()
  const file = yield* builder.build(manifest, open, workspace, report)
  return Built.make({ manifest: digest, artifact: yield* held.keep(digest, file), reused: false })
}, Effect.catchTag("HeldImagesUnavailable", ({ message }) => new BuildFailed({ class: "platform", message })))

/** From this worker's disk, or, if its holder is gone, from the store that it may lie in already. */
const uploadImage = Effect.fnUntraced(function*({ artifact, target }: WorkItem) {
  const artifacts = yield* Artifacts
  if (artifact === undefined || target === undefined) return yield* new BuildFailed({ class: "platform", message: "there is nothing to upload" })
  const path = yield* (yield* HeldImages).path(artifact.digest)
  if (path !== undefined) yield* artifacts.put(path, artifact.digest)
  else if ((yield* artifacts.size(artifact.digest)) !== artifact.size) {
    return yield* new ImageMissing({ message: "the image to upload is neither on this worker nor in the store" })
  }
  return Uploaded.make({ target, artifact })
}, Effect.catchTag(["HeldImagesUnavailable", "ArtifactsUnavailable"], ({ message }) => new BuildFailed({ class: "platform", message })))

const builderOf = Effect.fnUntraced(function*({ builder }: WorkItem): Effect.fn.Return<ImageBuilder, BuildFailed, ImageBuilders> {
  return (yield* ImageBuilders).builders.get(builder) ??
    (yield* new BuildFailed({ class: "platform", message: `this worker has no builder named ${builder}` }))
})

const hasSecrets = ({ customizations }: WorkItem) => (customizations.users ?? []).some(({ password }) => password !== undefined)
