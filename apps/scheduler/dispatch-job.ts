/** Turns a due job into the item that a worker gets: whatever the worker needs, and nothing else. */
import { Effect, Schema } from "effect"
import type { Compose } from "../../domain/compose.ts"
import { targetsOf } from "../../domain/job.ts"
import type { PoolId } from "../../domain/ids.ts"
import { Lock } from "../../domain/manifest.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"
import type { WorkItem } from "../../domain/work.ts"
import { readCompose } from "../read-compose.ts"

const decodeLock = Schema.decodeUnknownEffect(Schema.fromJsonString(Lock))

export class LockMissing extends Schema.TaggedError<LockMissing>()("LockMissing", { composeId: Schema.String, digest: Schema.String }) {}

/** Reads the compose once more: what is no longer queued is left alone, so cancel acts up to the last moment. */
export const dispatchJob = Effect.fn("dispatchJob")(function*(pool: PoolId, job: OpenJob) {
  const dispatch = yield* Dispatch
  const { compose, recorded } = yield* readCompose(job.tenantId, job.composeId)
  const current = compose.jobs.get(job.jobId)
  if (compose.status !== "open" || current?.state !== "queued" || current.attempt !== job.attempt) return
  const item = yield* itemOf(compose, job, recorded[0]?.trace)
  const queue = { pool, architecture: job.architecture, kind: job.kind }
  yield* dispatch.put(queue, item, `${job.composeId}/${job.jobId}/${job.revision}`)
})

const itemOf = Effect.fnUntraced(function*(compose: Compose, job: OpenJob, trace: string | undefined) {
  const request = compose.request!
  const { image, target } = compose.jobs.get(job.jobId)!
  const { tenantId, composeId, jobId, attempt, kind } = job
  const item: WorkItem = {
    tenantId, composeId, jobId, attempt, kind,
    builder: compose.builder,
    distribution: request.distribution,
    image: request.images[image]!,
    customizations: request.customizations ?? {},
    ...(trace !== undefined && { trace })
  }
  const outcomes = [...compose.jobs.values()].filter((other) => other.image === image)
    .map((other) => compose.outcomes.get(other.jobId))
  if (kind === "build") {
    const resolved = outcomes.find((outcome) => outcome?._tag === "Resolved")
    if (resolved?._tag !== "Resolved") return item
    const bytes = yield* (yield* Blobs).get(resolved.lock.digest)
    if (bytes === undefined) return yield* new LockMissing({ composeId, digest: resolved.lock.digest })
    return { ...item, lock: yield* decodeLock(new TextDecoder().decode(bytes)) }
  }
  if (kind === "upload") {
    const built = outcomes.find((outcome) => outcome?._tag === "Built")
    return { ...item, target: targetsOf(item.image)[target ?? 0]!, ...(built?._tag === "Built" && { artifact: built.artifact }) }
  }
  return item
})
