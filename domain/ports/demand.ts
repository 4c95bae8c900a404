import { Context, type Effect, Schema, type Stream } from "effect"
import type { PoolDemand } from "../scaling/demand.ts"

export class DemandUnavailable extends Schema.TaggedError<DemandUnavailable>()("DemandUnavailable", { message: Schema.String }) {}

/** Where the scheduler says what its pools need. Only the last word on a pool counts, and only while it is fresh. */
export class Demand extends Context.Service<Demand, {
  /** Does not fail, and waits for no more than a moment: the next word comes in a second. */
  publish(demand: PoolDemand): Effect.Effect<void>
  /** First what was said last of every pool, then each new word. */
  readonly follow: Stream.Stream<PoolDemand, DemandUnavailable>
}>()("domain/ports/Demand") {}
