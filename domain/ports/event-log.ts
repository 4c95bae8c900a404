import { Context, type Effect, Schema, type Stream } from "effect"
import type { TenantId } from "../ids.ts"
import type { AggregateKind, AggregateRef, Decision, LogEntry, Position, Recorded } from "../recorded.ts"

/** Somebody else's decision took the revision first: read again and decide again. */
export class WrongRevision extends Schema.TaggedError<WrongRevision>()("WrongRevision", {
  aggregate: Schema.String,
  id: Schema.String,
  after: Schema.Int
}) {}

/** The log cannot be reached or will not store; the same call may pass later. */
export class LogUnavailable extends Schema.TaggedError<LogUnavailable>()("LogUnavailable", {
  message: Schema.String
}) {}

/** What `read` has found: decisions in order, and the last one's revision. Nobody's aggregate reads as none at revision 0. */
export interface Stored<Kind extends AggregateKind = AggregateKind> {
  readonly recorded: ReadonlyArray<Recorded<Kind>>
  readonly revision: number
}

/** A kind of decisions: every tenant's, or those of one. */
export interface Wanted {
  readonly aggregate: AggregateKind
  readonly tenantId?: TenantId
}

export class EventLog extends Context.Service<EventLog, {
  /** An aggregate's decisions after a revision, by default all. */
  read<Kind extends AggregateKind>(ref: AggregateRef<Kind>, after?: number): Effect.Effect<Stored<Kind>, LogUnavailable>

  /**
   * Stores one decision as revision `after + 1`. When it answers, the decision is on disk.
   * The same `messageId` again answers with the first one's position.
   */
  append<Kind extends AggregateKind>(ref: AggregateRef<Kind>, after: number, decision: Decision<Kind>):
    Effect.Effect<Position, WrongRevision | LogUnavailable>

  /** One aggregate's decisions after a revision: those that are there, then new ones as they come, no gap between; never ends by itself. */
  watch<Kind extends AggregateKind>(ref: AggregateRef<Kind>, after: number): Stream.Stream<Recorded<Kind>, LogUnavailable>

  /** Names of the streams that the log is made of, as known now, oldest first: the list grows. Order holds within one. */
  readonly streams: ReadonlyArray<string>

  /** Each stream once: those that are there, oldest first, then new ones as they are made, before anything is in them; never ends. */
  readonly streamsAsTheyCome: Stream.Stream<string>

  /**
   * Whether nothing can be added to a stream any more: it is read as ever, be it from an archive. What its aggregates decide
   * after that lies in a stream that never ends, so whoever is behind takes in sealed streams to their ends before all others.
   */
  isSealed(stream: string): boolean

  /** All entries of a stream after a sequence, or what is wanted of them: old ones first, then new ones as they come; never ends by itself. */
  follow(stream: string, after: number, only?: AggregateKind | ReadonlyArray<Wanted>): Stream.Stream<LogEntry, LogUnavailable>

  /** Entries after one sequence and up to another, of them a tenant's alone or what is wanted; ends there. */
  scan(stream: string, range: {
    readonly after: number
    readonly upTo: number
    readonly tenantId?: TenantId | undefined
    readonly only?: ReadonlyArray<Wanted> | undefined
  }): Stream.Stream<LogEntry, LogUnavailable>

  /** The sequence of a stream's last entry, 0 when it is empty. */
  head(stream: string): Effect.Effect<number, LogUnavailable>

  /**
   * A sequence before all that was stored from `at` on, in milliseconds since 1970 by the log's own clock: the last such, except
   * where only an archive has the stream.
   */
  before(stream: string, at: number): Effect.Effect<number, LogUnavailable>
}>()("domain/ports/EventLog") {}
