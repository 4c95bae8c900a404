/** What a worker does for each kind of job. Every failure is an outcome: it has a class and a sentence. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { Digest } from "../../domain/ids.ts"
import { buildKeyText, type Manifest, manifestOf } from "../../domain/manifest.ts"
import { Artifacts } from "../../domain/ports/artifacts.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import { BuildFailed, type ImageBuilder, ImageBuilders, type Report, type Secrets } from "../../domain/ports/image-builder.ts"
import type { ImageTests } from "../../domain/ports/image-tests.ts"
import { WorkOutcome, type WorkEvidence, type WorkItem } from "../../domain/work.ts"
import { keyedSerial, type KeyedSerial } from "../keyed-serial.ts"
import { keepEvidence, keptEvidence, makeEvidence, readInventory } from "./evidence.ts"
import { type TestFailed, testImage } from "./handle-test.ts"
import { ImageMissing } from "./image-missing.ts"

const { Resolved, Built, Uploaded } = WorkOutcome.cases

export interface JobContext {
  readonly workspace: string
  readonly report: Report
  /** Asks for the job's secrets; only jobs that have any ask. */
  readonly secrets: Effect.Effect<Secrets, { readonly message: string }>
}

export const handleJob = (item: WorkItem, context: JobContext): Effect.Effect<WorkOutcome, BuildFailed | ImageMissing | TestFailed, ImageBuilders | HeldImages | Artifacts | ImageTests> => {
  switch (item.kind) {
    case "resolve":
      return resolveImage(item, context)
    case "build":
      return buildImage(item, context)
    case "test":
      return testImage(item, context.workspace, context.report)
    case "upload":
      return uploadImage(item)
  }
}

const resolveImage = Effect.fnUntraced(function*(item: WorkItem, { workspace, report }: JobContext) {
  const builder = yield* builderOf(item)
  return Resolved.make({ lock: yield* builder.resolve(item, workspace, report) })
})

const buildImage = Effect.fnUntraced(function*(item: WorkItem, context: JobContext) {
  const builder = yield* builderOf(item)
  const held = yield* HeldImages
  const manifest = manifestOf(builder.name, item, item.lock)
  const digest = Digest.make(`sha256:${createHash("sha256").update(buildKeyText(manifest)).digest("hex")}`)
  const make = foundOrBuilt(item, builder, manifest, digest, context)
  if (builder.alwaysBuilds) return yield* make
  const turns = turnsAt(held)
  if (turns.isTaken(digest)) context.report.line(`manifest ${digest} is being built for somebody else; waiting for that image`)
  return yield* turns.take(digest, make)
}, Effect.catchTag("HeldImagesUnavailable", ({ message }) => new BuildFailed({ class: "platform", message })))

/** Builds of one manifest take turns: who had to wait finds the image there, or builds it if nothing came of the other. */
const turnsAt = (held: HeldImages["Service"]): KeyedSerial<Digest> => {
  const known = turns.get(held) ?? keyedSerial<Digest>()
  turns.set(held, known)
  return known
}
const turns = new WeakMap<HeldImages["Service"], KeyedSerial<Digest>>()

const foundOrBuilt = Effect.fnUntraced(function*(item: WorkItem, builder: ImageBuilder, manifest: Manifest, digest: Digest, { workspace, report, secrets }: JobContext) {
  const held = yield* HeldImages
  const known = builder.alwaysBuilds ? undefined : yield* held.find(digest)
  if (known !== undefined) {
    report.line(`manifest ${digest} was built before; its image is used again`)
    return Built.make({ manifest: digest, artifact: known, reused: true, ...said((yield* keptEvidence(digest)) ?? (yield* makeEvidence(manifest, known, undefined))) })
  }
  const open = hasSecrets(item) ? yield* Effect.mapError(secrets, ({ message }) => new BuildFailed({ class: "platform", message })) : new Map<string, string>()
  const file = yield* builder.build(manifest, open, workspace, report)
  const inventory = yield* readInventory(file, report)
  const artifact = yield* held.keep(digest, file)
  const evidence = yield* makeEvidence(manifest, artifact, inventory)
  yield* keepEvidence(digest, evidence)
  return Built.make({ manifest: digest, artifact, reused: false, ...said(evidence) })
})

const said = (evidence: WorkEvidence | undefined) => (evidence === undefined ? {} : { evidence })

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
