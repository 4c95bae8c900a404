/** All jobs of all composes that still need work, folded from the log: the scheduler's memory. */
import { Schema } from "effect"
import type { ComposeEvent } from "../compose.ts"
import { Architecture, AttemptToken, ComposeId, JobId, Millis, TenantId, WorkerId } from "../ids.ts"
import { JobKind } from "../job.ts"
import type { Recorded } from "../recorded.ts"

export const OpenJob = Schema.Struct({
  tenantId: TenantId,
  composeId: ComposeId,
  jobId: JobId,
  attempt: Schema.Int,
  kind: JobKind,
  architecture: Architecture,
  queuedAt: Millis,
  /** Of the decision that queued it; names this one queueing among all of this job. */
  revision: Schema.Int,
  notBefore: Schema.optionalKey(Millis),
  worker: Schema.optionalKey(WorkerId),
  token: Schema.optionalKey(AttemptToken)
})
export type OpenJob = typeof OpenJob.Type

export const keyOf = (tenantId: string, composeId: string, jobId: string): string => `${tenantId}/${composeId}/${jobId}`

export type OpenJobChange =
  | { readonly _tag: "Queued"; readonly job: OpenJob }
  | { readonly _tag: "Started"; readonly job: OpenJob }
  /** It needs no slot any more; `canceled` if its worker has yet to hear of it. */
  | { readonly _tag: "Released"; readonly job: OpenJob; readonly canceled: boolean }

/** Mutable on purpose: a million entries are not copied for each event. One fiber owns it. */
export class OpenJobs {
  readonly #jobs = new Map<string, OpenJob>()

  get size(): number {
    return this.#jobs.size
  }

  values(): Iterable<OpenJob> {
    return this.#jobs.values()
  }

  get(tenantId: string, composeId: string, jobId: string): OpenJob | undefined {
    return this.#jobs.get(keyOf(tenantId, composeId, jobId))
  }

  load(jobs: Iterable<OpenJob>): void {
    for (const job of jobs) this.#jobs.set(keyOf(job.tenantId, job.composeId, job.jobId), job)
  }

  record(recorded: Recorded): ReadonlyArray<OpenJobChange> {
    return recorded.events.flatMap((event) => this.#apply(event, recorded))
  }

  #apply(event: ComposeEvent, { tenantId, at, revision }: Recorded): ReadonlyArray<OpenJobChange> {
    if (!("jobId" in event)) return []
    const key = keyOf(tenantId, event.composeId, event.jobId)
    if (event._tag === "JobQueued") {
      const { composeId, jobId, attempt, kind, request: { architecture }, notBefore } = event
      const job: OpenJob = { tenantId, composeId, jobId, attempt, kind, architecture, queuedAt: at, revision, ...(notBefore !== undefined && { notBefore }) }
      this.#jobs.set(key, job)
      return [{ _tag: "Queued", job }]
    }
    const job = this.#jobs.get(key)
    if (job === undefined) return []
    if (event._tag === "JobStarted") {
      const started = { ...job, worker: event.worker, token: event.token }
      this.#jobs.set(key, started)
      return [{ _tag: "Started", job: started }]
    }
    this.#jobs.delete(key)
    return [{ _tag: "Released", job, canceled: event._tag === "JobCanceled" }]
  }
}
