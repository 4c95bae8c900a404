/** What a job that does not run yet waits for. */
import { Schema } from "effect"
import { type ComposeId, JobId, Millis, PoolId, type TenantId, WorkerId } from "../ids.ts"
import { JobKind } from "../job.ts"
import { canDo, hasSets } from "./fleet.ts"
import type { OpenJob } from "./open-jobs.ts"
import type { Scheduler } from "./scheduler.ts"
import { isFull } from "./target-accounts.ts"

/**
 * `worker`: none that takes new work in the pool can do it; `slots`: all of those that can are busy; `tenant-limit`: as
 * many of the tenant's jobs run as may; `holder`: only the worker that holds the image will do; `retry`: its time has not
 * come; `assigned`: it lies on a worker's queue; `target-limit`: as much is being delivered to its account as may.
 */
export const WaitReason = Schema.Literals(["worker", "slots", "tenant-limit", "holder", "retry", "assigned", "target-limit"])
export type WaitReason = typeof WaitReason.Type

export const JobOutlook = Schema.Struct({
  jobId: JobId,
  attempt: Schema.Int,
  kind: JobKind,
  reason: WaitReason,
  pool: PoolId,
  architecture: Schema.String,
  distribution: Schema.String,
  imageType: Schema.String,
  since: Millis,
  /** How many go before it, itself included, if nothing changes. */
  position: Schema.optionalKey(Schema.Int),
  until: Schema.optionalKey(Millis),
  /** Of `holder` and `assigned`. */
  worker: Schema.optionalKey(WorkerId),
  /** Of `worker`: the credentials that only workers have, which it has to have, too. */
  sets: Schema.optionalKey(Schema.Array(Schema.String)),
  /** Of `target-limit`: the place and credentials that are counted, how many run there, and how many may. */
  limit: Schema.optionalKey(Schema.String),
  running: Schema.optionalKey(Schema.Int),
  atMost: Schema.optionalKey(Schema.Int)
})
export type JobOutlook = typeof JobOutlook.Type

/** Of each job of a compose that is queued; what runs is not among them. */
export const waitingOf = (scheduler: Scheduler, tenantId: TenantId, composeId: ComposeId, now: number): ReadonlyArray<JobOutlook> =>
  scheduler.ofCompose(tenantId, composeId).filter(({ state }) => state !== "running").map((job) => outlookOf(scheduler, job, now))

const outlookOf = (scheduler: Scheduler, job: OpenJob, now: number): JobOutlook => {
  const { attempt, jobId, need: { architecture, distribution, imageType, kind }, notBefore, queuedAt, tenantId } = job
  return {
    jobId, attempt, kind, architecture, distribution, imageType,
    pool: scheduler.queue.poolOf(tenantId),
    since: Millis.make(Math.max(queuedAt, job.state === "delayed" ? 0 : notBefore)),
    ...waitOf(scheduler, job, now)
  }
}

type Wait = Pick<JobOutlook, "reason"> & Partial<Pick<JobOutlook, "atMost" | "limit" | "position" | "running" | "sets" | "since" | "until" | "worker">>

const waitOf = (scheduler: Scheduler, job: OpenJob, now: number): Wait => {
  if (job.state === "delayed") return { reason: "retry", until: Millis.make(job.notBefore) }
  if (job.state === "assigned") return { reason: "assigned", since: Millis.make(job.since), worker: job.speaker!.worker }
  const position = scheduler.queue.position(job)
  const place = position === undefined ? {} : { position }
  const { bound, holder } = job.need
  const sets = bound === undefined ? {} : { sets: bound.sets }
  if (holder === undefined && !isServed(scheduler, job, now)) return { reason: "worker", ...sets, ...place }
  if (lacksSets(scheduler, job)) return { reason: "worker", ...sets, ...place }
  if (scheduler.queue.isAtLimit(job.tenantId)) return { reason: "tenant-limit", ...place }
  const full = fullAccount(scheduler, job, now)
  if (full !== undefined) return { reason: "target-limit", ...full, ...place }
  return holder === undefined ? { reason: "slots", ...place } : { reason: "holder", worker: holder.worker, ...place }
}

/** Where only the next minute's beginning is waited for, `until` says when. */
const fullAccount = ({ queue }: Scheduler, job: OpenJob, now: number): Omit<Wait, "reason"> | undefined => {
  const account = queue.accountOf(job)
  if (account === undefined || !isFull(account, now)) return undefined
  const { limit: { atOnce }, nextAt, taken } = account
  return {
    limit: job.need.target!, running: taken,
    ...(atOnce !== undefined && { atMost: atOnce }), ...(nextAt > now && { until: Millis.make(Math.ceil(nextAt)) })
  }
}

/** The holder has not got what only workers have: somebody else gets the image after a while. */
const lacksSets = ({ fleet, queue }: Scheduler, { need: { bound, holder }, tenantId }: OpenJob): boolean => {
  const worker = holder && fleet.named(queue.poolOf(tenantId), holder.worker)
  return worker?.heartbeat !== undefined && bound !== undefined && !hasSets(worker, bound)
}

const isServed = ({ fleet, queue }: Scheduler, { need, tenantId }: OpenJob, now: number): boolean => {
  for (const worker of fleet.serving(queue.poolOf(tenantId))) if (fleet.isOpen(worker, now) && canDo(worker, need)) return true
  return false
}
