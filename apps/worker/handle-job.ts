/** What a worker does for each kind of job. Every failure is an outcome: it has a class and a sentence. */
import { createHash } from "node:crypto"
import { Effect } from "effect"
import { Digest } from "../../domain/ids.ts"
import { buildKeyText, type Manifest, manifestOf } from "../../domain/manifest.ts"
import type { Artifacts } from "../../domain/ports/artifacts.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import { BuildFailed, type ImageBuilder, ImageBuilders, type Report, type Secrets } from "../../domain/ports/image-builder.ts"
import type { ImageContents } from "../../domain/ports/image-contents.ts"
import type { ConvertedImages } from "../../domain/ports/converted-images.ts"
import type { CredentialSets } from "../../domain/ports/credential-sets.ts"
import type { ImageDocument, ImageTargets } from "../../domain/ports/image-targets.ts"
import type { Journals } from "../../domain/ports/journals.ts"
import type { ImageTests } from "../../domain/ports/image-tests.ts"
import { WorkOutcome, type WorkEvidence, type WorkItem } from "../../domain/work.ts"
import { keyedSerial, type KeyedSerial } from "../keyed-serial.ts"
import { keepEvidence, keptEvidence, makeEvidence, readInventory } from "./evidence.ts"
import { type AskPart, fetchFiles } from "./fetch-files.ts"
import { removeCopy } from "./handle-delete.ts"
import { type TestFailed, testImage } from "./handle-test.ts"
import { uploadImage } from "./handle-upload.ts"
import { ImageMissing } from "./image-missing.ts"
import { verifyBuild } from "./verify-build.ts"

const { Resolved, Built } = WorkOutcome.cases

export interface JobContext {
  readonly workspace: string
  readonly report: Report
  /** Asks for the job's secrets; only jobs that have any ask. */
  readonly secrets: Effect.Effect<Secrets, { readonly message: string }>
  /** Asks for a part of a stored file; only builds that name one ask. */
  readonly filePart: AskPart
  /** Asks for what is said of the image, signed for its manifest in a registry; only uploads to registries ask. */
  readonly documents?: (manifest: Digest) => Effect.Effect<ReadonlyArray<ImageDocument>, { readonly message: string }>
  /** Goes into what is made in clouds, so that whose it is can be seen. */
  readonly deployment: string
  /** Whether it was ended because nobody wants it any more, and not to be done by somebody else. */
  readonly isCanceled: () => boolean
}

type Needs = ImageBuilders | HeldImages | Artifacts | ImageTests | ImageContents | ImageTargets | CredentialSets | ConvertedImages | Journals

export const handleJob = (item: WorkItem, context: JobContext): Effect.Effect<WorkOutcome, BuildFailed | ImageMissing | TestFailed, Needs> => {
  switch (item.kind) {
    case "resolve":
      return resolveImage(item, context)
    case "build":
      return buildImage(item, context)
    case "test":
      return testImage(item, context.workspace, context.report)
    case "delete":
      return removeCopy(item, context)
    case "upload":
      return uploadImage(item, context)
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
  const digest = digestOf(buildKeyText(manifest))
  if (item.verify !== undefined) {
    return yield* verifyBuild(item.verify, { manifest: digest, revision: builder.revision }, built(item, builder, manifest, context), context)
  }
  // What another revision has made of the manifest does not stand in for what this one would.
  const key = builder.revision === undefined ? digest : digestOf(`${digest} ${builder.revision}`)
  const make = foundOrBuilt(item, builder, manifest, digest, key, context)
  if (builder.alwaysBuilds) return yield* make
  const turns = turnsAt(held)
  if (turns.isTaken(key)) context.report.line(`manifest ${digest} is being built for somebody else; waiting for that image`)
  return yield* turns.take(key, make)
}, Effect.catchTag("HeldImagesUnavailable", ({ message }) => new BuildFailed({ class: "platform", message })))

const digestOf = (text: string) => Digest.make(`sha256:${createHash("sha256").update(text).digest("hex")}`)

/** Builds of one manifest take turns: who had to wait finds the image there, or builds it if nothing came of the other. */
const turnsAt = (held: HeldImages["Service"]): KeyedSerial<Digest> => {
  const known = turns.get(held) ?? keyedSerial<Digest>()
  turns.set(held, known)
  return known
}
const turns = new WeakMap<HeldImages["Service"], KeyedSerial<Digest>>()

/** `key`: what is kept here is found by. */
const foundOrBuilt = Effect.fnUntraced(function*(
  item: WorkItem, builder: ImageBuilder, manifest: Manifest, digest: Digest, key: Digest, context: JobContext
) {
  const by = { manifest: digest, ...(builder.revision !== undefined && { revision: builder.revision }) }
  const held = yield* HeldImages
  const known = builder.alwaysBuilds ? undefined : (yield* held.find(key)) ?? (yield* madeMeanwhile(key, digest, context))
  if (known !== undefined) {
    context.report.line(`manifest ${digest} was built before; its image is used again`)
    const evidence = (yield* keptEvidence(key)) ?? (yield* makeEvidence(manifest, known, undefined))
    return Built.make({ ...by, artifact: known, reused: true, ...said(evidence) })
  }
  const file = yield* built(item, builder, manifest, context)
  const inventory = yield* readInventory(file, context.report)
  const artifact = yield* held.keep(key, file)
  const evidence = yield* makeEvidence(manifest, artifact, inventory, file.noBill)
  yield* keepEvidence(key, evidence)
  return Built.make({ ...by, artifact, reused: false, ...said(evidence) })
}, Effect.scoped)

/** Waits for other workers that share the cache with this one, and keeps them waiting: what they have made, or nothing. */
const madeMeanwhile = Effect.fnUntraced(function*(key: Digest, digest: Digest, { report }: JobContext) {
  const held = yield* HeldImages
  let hasWaited = false
  yield* held.turn(key, () => {
    hasWaited = true
    report.line(`manifest ${digest} is being built by another worker that shares this cache; waiting for that image`)
  })
  const made = yield* held.find(key)
  if (hasWaited && made === undefined) report.line(`the other worker has made no image of manifest ${digest}; it is built here`)
  return made
})

const built = Effect.fnUntraced(function*(item: WorkItem, builder: ImageBuilder, manifest: Manifest, { filePart, report, secrets, workspace }: JobContext) {
  const open = hasSecrets(item) ? yield* Effect.mapError(secrets, ({ message }) => new BuildFailed({ class: "platform", message })) : new Map<string, string>()
  const files = yield* fetchFiles(item, workspace, filePart, report)
  return yield* builder.build(manifest, open, workspace, report, files)
})

const said = (evidence: WorkEvidence | undefined) => (evidence === undefined ? {} : { evidence })

const builderOf = Effect.fnUntraced(function*({ builder }: WorkItem): Effect.fn.Return<ImageBuilder, BuildFailed, ImageBuilders> {
  return (yield* ImageBuilders).builders.get(builder) ??
    (yield* new BuildFailed({ class: "platform", message: `this worker has no builder named ${builder}` }))
})

const hasSecrets = ({ customizations }: WorkItem) => (customizations.users ?? []).some(({ password }) => password !== undefined)
