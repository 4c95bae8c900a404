/** Asking the scheduler, which alone knows who waits for what and which workers there are. */
import { Context, type Effect, Schema } from "effect"
import type { AskedErrand, SentErrand } from "../errand.ts"
import type { ComposeId, Digest, TenantId, WorkerId } from "../ids.ts"
import type { PoolDemand } from "../scaling/demand.ts"
import type { DiscardAnswer } from "../scheduling/discard.ts"
import type { ExpiredCopy } from "../scheduling/expired-copy.ts"
import type { JobOutlook } from "../scheduling/job-outlook.ts"
import type { ReaperReport, SweepRequest } from "../scheduling/reaper-report.ts"
import type { WorkerOutlook } from "../scheduling/worker-outlook.ts"

/** No scheduler works now, or it does not answer in time. */
export class SchedulerSilent extends Schema.TaggedError<SchedulerSilent>()("SchedulerSilent", { message: Schema.String }) {}

export class Scheduling extends Context.Service<Scheduling, {
  /** All, or those of a name: one a pool at most. */
  workers(name?: WorkerId): Effect.Effect<ReadonlyArray<WorkerOutlook>, SchedulerSilent>
  readonly pools: Effect.Effect<ReadonlyArray<PoolDemand>, SchedulerSilent>
  /** What the jobs of a compose wait for; none of a compose of another tenant. */
  waiting(tenantId: TenantId, composeId: ComposeId): Effect.Effect<ReadonlyArray<JobOutlook>, SchedulerSilent>
  /** Has the worker of that name told to remove an image that it holds. */
  discard(name: WorkerId, digest: Digest): Effect.Effect<DiscardAnswer, SchedulerSilent>
  /** A tenant's copies whose time is over; with `now` they are removed. */
  retention(tenantId: TenantId, now: boolean): Effect.Effect<ReadonlyArray<ExpiredCopy>, SchedulerSilent>
  /** What the reaper has seen last; asked to sweep, it begins soon, and `running` tells until when. */
  reaper(sweep?: SweepRequest): Effect.Effect<ReaperReport, SchedulerSilent>
  /** Has a worker do something small at a target of the tenant; takes as long as the errand does. */
  errand(tenantId: TenantId, asked: AskedErrand): Effect.Effect<SentErrand, SchedulerSilent>
}>()("domain/ports/Scheduling") {}

/** Looked up at once, from memory; `undefined` leaves the answer to another. */
export interface SchedulingDesk {
  workers(name: WorkerId | undefined): ReadonlyArray<WorkerOutlook> | undefined
  pools(): ReadonlyArray<PoolDemand> | undefined
  waiting(tenantId: TenantId, composeId: ComposeId): ReadonlyArray<JobOutlook> | undefined
  /** Tells the worker too, without waiting for it. */
  discard(name: WorkerId, digest: Digest): DiscardAnswer | undefined
  /** Begins with the removal too, without waiting for it. */
  retention(tenantId: TenantId, now: boolean): ReadonlyArray<ExpiredCopy> | undefined
  reaper(sweep: SweepRequest | undefined): ReaperReport | undefined
  /** The only one that takes its time. */
  errand?(tenantId: TenantId, asked: AskedErrand): Effect.Effect<SentErrand> | undefined
}

export class SchedulingAnswers extends Context.Service<SchedulingAnswers, {
  /** Answers those who ask for as long as it runs. */
  serve(desk: SchedulingDesk): Effect.Effect<never>
}>()("domain/ports/SchedulingAnswers") {}
