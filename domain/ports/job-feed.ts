import { Context, type Effect, type Stream } from "effect"
import type { AttemptToken, ComposeId, JobId, Millis, TenantId } from "../ids.ts"
import type { LogUnavailable } from "./event-log.ts"
import type { Progress } from "./image-builder.ts"

interface FromAttempt {
  readonly jobId: JobId
  readonly attempt: number
  /** Whoever sent this held this token; compare with the attempt's `JobStarted`. */
  readonly token: AttemptToken
  readonly at: Millis
}

/** `sequence` grows over all lines of a compose and may have gaps. */
export interface LogLines extends FromAttempt {
  readonly _tag: "LogLines"
  readonly sequence: number
  readonly lines: ReadonlyArray<string>
}

export interface ProgressReport extends FromAttempt {
  readonly _tag: "ProgressReport"
  readonly progress: Progress
}

export type FeedItem = LogLines | ProgressReport

/** What running attempts say while they run. Kept for a while for late listeners, never part of the log. */
export class JobFeed extends Context.Service<JobFeed, {
  /** Lines of a compose after a sequence that are still kept, in order, and the latest progress of each job. */
  recent(tenantId: TenantId, composeId: ComposeId, after: number): Effect.Effect<ReadonlyArray<FeedItem>, LogUnavailable>
  /** What comes from now on; starts listening before it yields its first item. Never ends by itself. */
  live(tenantId: TenantId, composeId: ComposeId): Stream.Stream<FeedItem, LogUnavailable>
}>()("domain/ports/JobFeed") {}
