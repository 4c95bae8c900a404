/** Brings an image to where it was asked for: from this worker's disk, or, if its holder is gone, from the store that it may lie in. */
import { Effect, Metric } from "effect"
import type { Artifact } from "../../domain/artifact.ts"
import type { Credentials } from "../../domain/credentials.ts"
import { Millis } from "../../domain/ids.ts"
import { Artifacts } from "../../domain/ports/artifacts.ts"
import { ConvertedImages } from "../../domain/ports/converted-images.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { type Delivery, type ImageTarget, ImageTargets, type Marks } from "../../domain/ports/image-targets.ts"
import { Journals } from "../../domain/ports/journals.ts"
import type { Target } from "../../domain/target.ts"
import { WorkOutcome, type WorkItem } from "../../domain/work.ts"
import { type KeyedSerial, keyedSerial } from "../keyed-serial.ts"
import { credentialsFor } from "./credentials-for.ts"
import type { JobContext } from "./handle-job.ts"
import { ImageMissing } from "./image-missing.ts"
import { uploadedBytes } from "./metrics.ts"
import { metered } from "./metered.ts"

const { Uploaded } = WorkOutcome.cases

export const uploadImage = Effect.fn("uploadImage")(function*(item: WorkItem, context: JobContext) {
  const { artifact, target } = item
  if (artifact === undefined || target === undefined) return yield* new BuildFailed({ class: "platform", message: "there is nothing to upload" })
  if (target.type === "file") {
    yield* putAway(artifact)
    return Uploaded.make({ target, artifact })
  }
  const to = (yield* ImageTargets).get(target.type)
  if (to === undefined) return yield* new BuildFailed({ class: "platform", message: `this worker cannot deliver to ${target.type}` })
  const copy = yield* Effect.scoped(deliver(to, target, artifact, item, context))
  return Uploaded.make({ target, artifact, copy })
}, Effect.catchTag(["HeldImagesUnavailable", "ArtifactsUnavailable"], ({ message }) => new BuildFailed({ class: "platform", message })))

const putAway = Effect.fnUntraced(function*(artifact: Artifact) {
  const artifacts = yield* Artifacts
  const path = yield* (yield* HeldImages).path(artifact.digest)
  if (path !== undefined) yield* artifacts.put(path, artifact.digest)
  else if ((yield* artifacts.size(artifact.digest)) !== artifact.size) return yield* missing
})

const missing = new ImageMissing({ message: "the image to upload is neither on this worker nor in the store" })

/** Credentials before the conversion: without them that would be for nothing. */
const deliver = Effect.fnUntraced(function*(to: ImageTarget, target: Target, artifact: Artifact, item: WorkItem, { deployment, documents, isCanceled, report, secrets }: JobContext) {
  const { composeId, distribution, image, jobId, tenantId } = item
  const path = (yield* (yield* HeldImages).path(artifact.digest)) ?? (yield* (yield* Artifacts).path(artifact.digest))
  if (path === undefined) return yield* missing
  const format = yield* to.format({ artifact, image, target })
  const credentials = yield* credentialsFor(target, tenantId, secrets)
  const file = yield* converted(artifact, path, format, report)
  const marks = { deployment, tenantId, composeId, jobId }
  const delivery: Delivery = { ...marks, deliveryId: deliveryIdOf(item), distribution, image, artifact, target, credentials, ...file, ...attested(documents) }
  const journals = yield* Journals
  const of = { tenantId, composeId, jobId, artifact: artifact.digest }
  const journal = yield* journals.open(of)
  const before = yield* Effect.sync(() => (journal.read(sentStep) as number | undefined) ?? 0)
  report.line(`delivering ${file.size} bytes to ${target.type}`)
  const copy = yield* to.deliver(delivery, journal, metered(report)).pipe(
    Effect.onInterrupt(() => isCanceled() ? removeLeftovers(to, target, credentials, marks) : Effect.void)
  )
  yield* Metric.update(Metric.withAttributes(uploadedBytes, { target: target.type }), Math.max(0, copy.bytesSent - before))
  yield* journal.note(sentStep, copy.bytesSent)
  yield* journals.close(of)
  return { ...copy, deliveredAt: Millis.make(copy.deliveredAt) }
})

const attested = (documents: JobContext["documents"]): Pick<Delivery, "attest"> =>
  documents === undefined ? {} : { attest: (manifest) => Effect.mapError(documents(manifest), ({ message }) => new BuildFailed({ class: "platform", message })) }

/** What the metric knows of. */
const sentStep = "metered"

const converted = Effect.fnUntraced(function*(artifact: Artifact, path: string, format: string | undefined, report: JobContext["report"]) {
  const images = yield* ConvertedImages
  const turn = turns.get(images) ?? keyedSerial<string>()
  turns.set(images, turn)
  const name = `${artifact.digest}.${format ?? ""}`
  if (format !== undefined && turn.isTaken(name)) report.line(`the image is being converted to ${format} for another target; waiting for that`)
  const take = images.take(artifact, path, format, report)
  return yield* format === undefined ? take : turn.take(name, take)
})
/** Conversions of one image to one format take turns: who had to wait finds it made. */
const turns = new WeakMap<ConvertedImages["Service"], KeyedSerial<string>>()

/** 40 characters at most. */
export const deliveryIdOf = ({ composeId, jobId }: Pick<WorkItem, "composeId" | "jobId">): string => {
  const [image = "", , target = ""] = jobId.split("-")
  return `${composeId.replaceAll("-", "")}-${image}-${target}`
}

/** In a short time; what it does not get to is found by whoever looks for what nobody owns. */
const removeLeftovers = (to: ImageTarget, target: Target, credentials: Credentials | undefined, marks: Marks) =>
  to.marked(target, credentials, marks.deployment).pipe(
    Effect.map((all) => all.filter(({ marks: { composeId, jobId, tenantId } }) => composeId === marks.composeId && jobId === marks.jobId && tenantId === marks.tenantId)),
    Effect.tap((ours) => ours.length === 0 ? Effect.void : to.remove(target, ours.map(({ resource }) => resource), credentials)),
    Effect.flatMap((ours) => Effect.logInfo("removed what a canceled delivery had left", { resources: ours.length })),
    Effect.interruptible,
    Effect.timeout(leftoversWithin),
    Effect.catchCause((cause) => Effect.logWarning("a canceled delivery left something behind", cause))
  )
const leftoversWithin = "30 seconds"
