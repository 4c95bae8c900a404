/** The scheduler's and the worker's ends of the work account. */
import { Context, type Effect, Schema, type Stream } from "effect"
import type { Architecture, ComposeId, JobId, PoolId, TenantId } from "../ids.ts"
import type { JobKind } from "../job.ts"
import type { Claim, Heartbeat, Speaker, WorkItem, WorkReport } from "../work.ts"
import type { Progress } from "./image-builder.ts"

export class WorkUnavailable extends Schema.TaggedError<WorkUnavailable>()("WorkUnavailable", { message: Schema.String }) {}

/** Jobs that need the same kind of slot wait on one queue. */
export interface Queue {
  readonly pool: PoolId
  readonly architecture: Architecture
  readonly kind: JobKind
}

/** A report as it arrives; unless it is acknowledged it comes again. */
export interface ReportDelivery extends Speaker {
  readonly report: WorkReport
  readonly acknowledge: Effect.Effect<void>
  readonly again: Effect.Effect<void>
}

/** A job that lies on a queue and that no worker has begun. */
export interface Waiting {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  readonly jobId: JobId
  readonly attempt: number
}

export class Dispatch extends Context.Service<Dispatch, {
  /** Puts a job where a free worker takes it; the same `messageId` again within minutes adds nothing. */
  put(queue: Queue, item: WorkItem, messageId: string): Effect.Effect<void, WorkUnavailable>
  /** What lies on the queues now. */
  readonly waiting: Effect.Effect<ReadonlyArray<Waiting>, WorkUnavailable>
  readonly reports: Stream.Stream<ReportDelivery, WorkUnavailable>
  readonly heartbeats: Stream.Stream<Speaker & { readonly heartbeat: Heartbeat }, WorkUnavailable>
  /** Asks every worker for a heartbeat now. */
  readonly rollCall: Effect.Effect<void>
  /** Tells a worker that an attempt is not its own any more. */
  stop(speaker: Speaker, claim: Claim): Effect.Effect<void>
  /** Answers workers that ask for the secrets of a job they hold; `undefined` refuses. */
  serveSecrets(answer: (speaker: Speaker, claim: Claim) => Effect.Effect<ReadonlyMap<string, string> | undefined>):
    Effect.Effect<never, WorkUnavailable>
}>()("domain/ports/Dispatch") {}

/** A job in a worker's hands. Until it is acknowledged another worker gets it after a while. */
export interface JobDelivery {
  readonly item: WorkItem
  readonly acknowledge: Effect.Effect<void, WorkUnavailable>
}

export type Control =
  | { readonly _tag: "RollCall" }
  | { readonly _tag: "Stop"; readonly claim: Claim }

export class Workplace extends Context.Service<Workplace, {
  /** Waits until there is a job. */
  take(architecture: Architecture, kind: JobKind): Effect.Effect<JobDelivery, WorkUnavailable>
  /** Answers when the report is stored; the same report again adds nothing. */
  report(report: WorkReport): Effect.Effect<void, WorkUnavailable>
  heartbeat(heartbeat: Heartbeat): void
  readonly control: Stream.Stream<Control, WorkUnavailable>
  secrets(claim: Claim): Effect.Effect<ReadonlyMap<string, string>, WorkUnavailable>
  /** Neither waits nor fails: what cannot be sent is not said. */
  progress(claim: Claim, progress: Progress): void
  lines(claim: Claim, lines: ReadonlyArray<string>): void
}>()("domain/ports/Workplace") {}
