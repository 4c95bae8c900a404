/** Turns an assigned job into the item that its worker gets: whatever the worker needs, and nothing else. */
import { Effect, Schema } from "effect"
import type { Compose } from "../../domain/compose.ts"
import type { ImageRequest } from "../../domain/compose-request.ts"
import type { JobId } from "../../domain/ids.ts"
import { targetsOf } from "../../domain/job.ts"
import { Lock } from "../../domain/manifest.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"
import { type Speaker, speakerKey, type WorkItem } from "../../domain/work.ts"
import { type ComposeCache, seeCompose } from "./compose-cache.ts"

const decodeLock = Schema.decodeUnknownEffect(Schema.fromJsonString(Lock))

export class LockMissing extends Schema.TaggedError<LockMissing>()("LockMissing", { composeId: Schema.String, digest: Schema.String }) {}

/** `uploadsToo`: whether this worker may do uploads. What is no longer queued is left alone, so cancel acts up to the last moment. */
export const dispatchJob = Effect.fnUntraced(function*(cache: ComposeCache, speaker: Speaker, uploadsToo: boolean, job: OpenJob) {
  const { attempt, composeId, jobId, revision, since, tenantId } = job
  const { compose, trace } = yield* seeCompose(cache, tenantId, composeId)
  const current = compose.jobs.get(jobId)
  if (compose.status !== "open" || current?.state !== "queued" || current.attempt !== attempt) {
    // Should the cache be behind, the next one to look reads the log.
    cache.forget(composeId)
    return undefined
  }
  const item = yield* itemOf(compose, job, speaker, uploadsToo, trace)
  // The time tells one assignment of this queueing from the next, which may be to the same worker.
  return yield* (yield* Dispatch).put(speaker, item, `${composeId}/${jobId}/${revision}/${since}`)
})

const itemOf = Effect.fnUntraced(function*(compose: Compose, job: OpenJob, speaker: Speaker, uploadsToo: boolean, trace: string | undefined) {
  const request = compose.request!
  const { after, image, target } = compose.jobs.get(job.jobId)!
  const { attempt, composeId, jobId, need: { kind }, tenantId } = job
  const item: WorkItem = {
    speaker: speakerKey(speaker), tenantId, composeId, jobId, attempt, kind,
    builder: compose.builder,
    distribution: request.distribution,
    image: request.images[image]!,
    customizations: request.customizations ?? {},
    ...(trace !== undefined && { trace })
  }
  const next = kind === "build" && uploadsToo ? momentary(compose, job.jobId, item.image) : {}
  const before = after === undefined ? undefined : compose.outcomes.get(after)
  if (kind === "build" && before?._tag === "Resolved") {
    const bytes = yield* (yield* Blobs).get(before.lock.digest)
    if (bytes === undefined) return yield* new LockMissing({ composeId, digest: before.lock.digest })
    return { ...item, ...next, lock: yield* decodeLock(new TextDecoder().decode(bytes)) }
  }
  if (kind === "build") return { ...item, ...next }
  if (kind === "test" && before?._tag === "Built") return { ...item, artifact: before.artifact }
  if (kind === "upload") {
    return { ...item, target: targetsOf(item.image)[target ?? 0]!, ...(before?._tag === "Built" && { artifact: before.artifact }) }
  }
  return item
})

/** A file is linked into the store beside it: that is no work for a slot of its own. */
const momentary = (compose: Compose, build: JobId, image: ImageRequest): Pick<WorkItem, "after"> => {
  const after = [...compose.jobs.values()].flatMap(({ after, attempt, jobId, kind, state, target }) => {
    const wanted = targetsOf(image)[target ?? 0]
    return after === build && kind === "upload" && state === "waiting" && wanted?.type === "file" ? [{ jobId, attempt: attempt + 1, target: wanted }] : []
  })
  return after.length === 0 ? {} : { after }
}
