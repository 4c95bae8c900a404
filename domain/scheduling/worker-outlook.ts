/** The workers as operators see them: what they may do, what they do, and how they fare. */
import { Schema } from "effect"
import { OfferedSet } from "../credential-sets.ts"
import { ComposeId, Digest, JobId, Millis, PoolId, poolsOf, TenantId, WorkerId } from "../ids.ts"
import { JobKind, Slots } from "../job.ts"
import { Abilities, speakerKey } from "../work.ts"
import { load, type Worker } from "./fleet.ts"
import type { OpenJob } from "./open-jobs.ts"
import type { Scheduler } from "./scheduler.ts"

/** `assigned`: it lies on the worker's queue, and the worker has not said yet that it runs. */
export const JobInHand = Schema.Struct({
  tenantId: TenantId,
  composeId: ComposeId,
  jobId: JobId,
  kind: JobKind,
  attempt: Schema.Int,
  state: Schema.Literals(["assigned", "running"]),
  since: Millis
})
export type JobInHand = typeof JobInHand.Type

/** `silent`: not heard for as long as its pool allows, or only the log tells of it. */
export const WorkerState = Schema.Literals(["working", "idle", "draining", "silent"])
export type WorkerState = typeof WorkerState.Type

export const WorkerOutlook = Schema.Struct({
  worker: WorkerId,
  pools: Schema.Array(PoolId),
  state: WorkerState,
  /** These four are absent while only the log has told of it. */
  abilities: Schema.optionalKey(Abilities),
  version: Schema.optionalKey(Schema.String),
  credentials: Schema.optionalKey(Schema.Array(OfferedSet)),
  /** When this run of it was heard first, and when last. */
  sessionSince: Schema.optionalKey(Millis),
  heardAt: Schema.optionalKey(Millis),
  busy: Slots,
  jobs: Schema.Array(JobInHand),
  held: Schema.Int,
  /** Of all it holds; only where one worker was asked for by name, since there may be thousands. */
  heldDigests: Schema.optionalKey(Schema.Array(Digest))
})
export type WorkerOutlook = typeof WorkerOutlook.Type

/** In the order of their pools and names. A name may occur once a pool. */
export const workersOf = (scheduler: Scheduler, now: number, name?: WorkerId): ReadonlyArray<WorkerOutlook> => {
  const inHand = byWorker(scheduler)
  return [...scheduler.fleet.workers()]
    .filter(({ speaker }) => name === undefined || speaker.worker === name)
    .toSorted(({ speaker: one }, { speaker: other }) => speakerKey(one) < speakerKey(other) ? -1 : 1)
    .map((worker): WorkerOutlook => ({
      worker: worker.speaker.worker,
      pools: poolsOf(worker.speaker.scope),
      state: stateOf(worker, scheduler, now),
      ...heard(worker),
      busy: { ...worker.busy },
      jobs: inHand.get(speakerKey(worker.speaker)) ?? [],
      held: worker.held.size,
      ...(name !== undefined && { heldDigests: [...worker.held] })
    }))
}

const stateOf = (worker: Worker, { fleet }: Scheduler, now: number): WorkerState => {
  if (!fleet.isLive(worker, now)) return "silent"
  if (worker.heartbeat!.draining) return "draining"
  return load(worker) > 0 ? "working" : "idle"
}

const heard = ({ firstHeardAt, heardAt, heartbeat }: Worker) => {
  if (heartbeat === undefined) return {}
  const { architectures, credentials, distributions, imageTypes, labels, slots, version } = heartbeat
  return {
    abilities: { architectures, slots, ...(distributions && { distributions }), ...(imageTypes && { imageTypes }), ...(labels && { labels }) },
    ...(credentials && { credentials }),
    version, sessionSince: Millis.make(firstHeardAt), heardAt: Millis.make(heardAt)
  }
}

const byWorker = (scheduler: Scheduler): ReadonlyMap<string, ReadonlyArray<JobInHand>> => {
  const found = new Map<string, Array<JobInHand>>()
  for (const job of scheduler.taken()) {
    const key = speakerKey(job.speaker)
    const jobs = found.get(key)
    if (jobs === undefined) found.set(key, [inHandOf(job)])
    else jobs.push(inHandOf(job))
  }
  return found
}

const inHandOf = ({ attempt, composeId, jobId, need: { kind }, since, state, tenantId }: OpenJob): JobInHand =>
  ({ tenantId, composeId, jobId, kind, attempt, state: state === "running" ? "running" : "assigned", since: Millis.make(since) })

