/** Turns an assigned job into the item that its worker gets: whatever the worker needs, and nothing else. */
import { Effect, Schema } from "effect"
import type { ImageRequest } from "../../domain/compose-request.ts"
import { builtFor, type Compose, isLive, type Job } from "../../domain/compose-state.ts"
import { copyAt } from "../../domain/copy-removal.ts"
import { type ComposeId, type JobId, Millis } from "../../domain/ids.ts"
import { type JobOutcome, targetsOf } from "../../domain/job.ts"
import { Lock } from "../../domain/manifest.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"
import type { Verifies } from "../../domain/verification.ts"
import { type Speaker, speakerKey, type WorkItem } from "../../domain/work.ts"
import { type ComposeCache, seeCompose } from "./compose-cache.ts"

const decodeLock = Schema.decodeUnknownEffect(Schema.fromJsonString(Lock))

export class LockMissing extends Schema.TaggedError<LockMissing>()("LockMissing", { composeId: Schema.String, digest: Schema.String }) {}

/** `uploadsToo`: whether this worker may do uploads. What is no longer queued is left alone, so cancel acts up to the last moment. */
export const dispatchJob = Effect.fnUntraced(function*(
  cache: ComposeCache, speaker: Speaker, uploadsToo: boolean, job: OpenJob, storedAlone: StoredAlone = () => undefined
) {
  const { attempt, composeId, jobId, revision, since, tenantId } = job
  const { compose, trace } = yield* seeCompose(cache, tenantId, composeId)
  const current = compose.jobs.get(jobId)
  if (current === undefined || !isLive(compose, current) || current.state !== "queued" || current.attempt !== attempt) {
    // Should the cache be behind, the next one to look reads the log.
    cache.forget(composeId)
    return undefined
  }
  const item = { ...(yield* itemOf(compose, job, speaker, uploadsToo, trace)), ...(current.kind === "delete" && whatGoes(compose, current, storedAlone)) }
  // The time tells one assignment of this queueing from the next, which may be to the same worker.
  return yield* (yield* Dispatch).put(speaker, item, `${composeId}/${jobId}/${revision}/${since}`)
})

/** When an image was put into Kiln's own store, if nobody else refers to it. */
type StoredAlone = (composeId: ComposeId, removal: JobId) => number | undefined

/** A word of somebody who has put the same image may be under way for so long. */
const unheardMs = 15 * 60_000

const whatGoes = (compose: Compose, { image, jobId, target }: Job, storedAlone: StoredAlone): Partial<WorkItem> => {
  const copy = copyAt(compose, image, target!)
  if (copy === undefined) return {}
  const since = copy.target.type === "file" ? storedAlone(compose.composeId!, jobId) : undefined
  return {
    target: copy.target, artifact: copy.artifact, ...(copy.copy && { copy: copy.copy }),
    ...(since !== undefined && { unusedSince: Millis.make(Math.max(since, Date.now() - unheardMs)) })
  }
}

const itemOf = Effect.fnUntraced(function*(compose: Compose, job: OpenJob, speaker: Speaker, uploadsToo: boolean, trace: string | undefined) {
  const request = compose.request!
  const planned = compose.jobs.get(job.jobId)!
  const { after, image, target } = planned
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
  if (kind === "build") return { ...item, ...next, ...(yield* fromBefore(compose, before)) }
  const built = builtFor(compose, planned)
  if (kind === "test" && built?._tag === "Built") return { ...item, artifact: built.artifact }
  if (kind === "upload") {
    return { ...item, target: targetsOf(item.image)[target ?? 0]!, ...(built?._tag === "Built" && { artifact: built.artifact }) }
  }
  return item
})

/** What a build is bound to: the packages it was resolved to, or the image that it has to come to again. */
const fromBefore = Effect.fnUntraced(function*({ composeId, verifies }: Compose, before: JobOutcome | undefined) {
  const lock = before?._tag === "Resolved" ? before.lock : verifies?.lock
  const verify = verifies && { verify: expectedOf(verifies) }
  if (lock === undefined) return { ...verify }
  const bytes = yield* (yield* Blobs).get(lock.digest)
  if (bytes === undefined) return yield* new LockMissing({ composeId: composeId!, digest: lock.digest })
  return { ...verify, lock: yield* decodeLock(new TextDecoder().decode(bytes)) }
})

const expectedOf = ({ artifact, manifest, revision, tools }: Verifies) =>
  ({ manifest, artifact, ...(revision !== undefined && { revision }), ...(tools && { tools }) })

/** A file is linked into the store beside it: that is no work for a slot of its own. */
const momentary = (compose: Compose, build: JobId, image: ImageRequest): Pick<WorkItem, "after"> => {
  const after = [...compose.jobs.values()].flatMap(({ after, attempt, jobId, kind, state, target }) => {
    const wanted = targetsOf(image)[target ?? 0]
    return after === build && kind === "upload" && state === "waiting" && wanted?.type === "file" ? [{ jobId, attempt: attempt + 1, target: wanted }] : []
  })
  return after.length === 0 ? {} : { after }
}
