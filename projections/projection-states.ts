import { Context, type Effect } from "effect"
import type { Generation, StoreUnavailable } from "./projection-store.ts"

/** One table of a read model, as it is now. */
export interface GenerationState {
  readonly projection: string
  readonly generation: Generation
  /** Of the program that makes it. */
  readonly version: number
  /** Milliseconds since 1970. */
  readonly builtAt: number
  /** By stream: up to where the log has been taken in. */
  readonly positions: ReadonlyMap<string, number>
  /** Aggregates that it passes over. */
  readonly parked: number
  /** As the database last estimated them. */
  readonly rows: number
  readonly bytes: number
}

/** What an operator wants to know of read models; it changes nothing. */
export class ProjectionStates extends Context.Service<ProjectionStates, {
  /** All there are, also of read models that this program does not know. */
  readonly all: Effect.Effect<ReadonlyArray<GenerationState>, StoreUnavailable>
}>()("projections/ProjectionStates") {}
