import { Context, type Effect, type Scope } from "effect"
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

/** Lines up to a sequence may not have come to whoever listens; what is kept of them can be read. */
export interface Missed {
  readonly _tag: "Missed"
  readonly upTo: number
}

/** The connection has broken: nobody knows what was missed, nor whether what was kept is kept still. */
export const missedAnything: Missed = { _tag: "Missed", upTo: Number.MAX_SAFE_INTEGER }

/** `more`: of which there may be some on the next page. */
export interface PageOfLines {
  readonly lines: ReadonlyArray<LogLines>
  readonly more: boolean
}

/** What running attempts say while they run. Kept for a while for late listeners, never part of the log. */
export class JobFeed extends Context.Service<JobFeed, {
  /** Lines of a compose after a sequence that are still kept, in order, and the latest progress of each job. */
  recent(tenantId: TenantId, composeId: ComposeId, after: number): Effect.Effect<ReadonlyArray<FeedItem>, LogUnavailable>
  /** As many as are good to have at once of the lines after a sequence, in order. `since`: there were none before. */
  lines(tenantId: TenantId, composeId: ComposeId, after: number, since?: number): Effect.Effect<PageOfLines, LogUnavailable>
  /** What each job has said last of how far it is. */
  progress(tenantId: TenantId, composeId: ComposeId): Effect.Effect<ReadonlyArray<ProgressReport>, LogUnavailable>
  /** `listener` is told of all that comes after this has answered, until the scope closes, and of what may have been lost on the way. */
  hear(tenantId: TenantId, composeId: ComposeId, listener: (said: FeedItem | Missed) => void): Effect.Effect<void, LogUnavailable, Scope.Scope>
}>()("domain/ports/JobFeed") {}
