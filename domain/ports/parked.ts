import { Context, type Effect, Schema } from "effect"
import { Millis, TenantId } from "../ids.ts"

export class ParkedUnavailable extends Schema.TaggedError<ParkedUnavailable>()("ParkedUnavailable", { message: Schema.String }) {}

/** All that may be listed as parked; `delivery`: of a webhook, given up, which those who deliver keep themselves. */
export const ParkedKind = Schema.Literals(["event", "report", "job", "delivery"])
export type ParkedKind = typeof ParkedKind.Type

/** What could not be taken in and was put aside, so that the rest goes on. */
export const ParkedItem = Schema.Struct({
  /** Of the log (`event`), of a worker (`report`), or for one (`job`). */
  what: Schema.Literals(["event", "report", "job"]),
  /** Who could not take it: a process, or a projection. */
  by: Schema.String,
  /** Where it lies or lay, such as `EVENTS 17 events.t1.compose.….3`. */
  where: Schema.String,
  reason: Schema.String,
  tenantId: Schema.optionalKey(TenantId),
  composeId: Schema.optionalKey(Schema.String),
  /** The beginning of its bytes as text. */
  text: Schema.optionalKey(Schema.String),
  at: Millis
})
export type ParkedItem = typeof ParkedItem.Type

export class Parked extends Context.Service<Parked, {
  /** The same item by the same `by` and `where` is there once. */
  park(item: ParkedItem): Effect.Effect<void, ParkedUnavailable>
  /** Newest first. */
  readonly list: Effect.Effect<ReadonlyArray<ParkedItem & { readonly id: string }>, ParkedUnavailable>
  /** Whether it was there. */
  drop(id: string): Effect.Effect<boolean, ParkedUnavailable>
}>()("domain/ports/Parked") {}
