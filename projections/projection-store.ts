import { Context, type Effect, Schema } from "effect"
import type { Recorded } from "../domain/recorded.ts"
import type { Projection } from "./projection.ts"

export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", { message: Schema.String }) {}

/** Somebody else moved the checkpoint, as a rebuild does when it swaps its table in: read it again and go on from there. */
export class CheckpointMoved extends Schema.TaggedError<CheckpointMoved>()("CheckpointMoved", { projection: Schema.String }) {}

/** `live` is what queries read; `rebuild` grows beside it and takes its place. */
export type Generation = "live" | "rebuild"

/** Decisions of one stream in order: those after `after` and up to `upTo`, which becomes the checkpoint. */
export interface Batch {
  readonly stream: string
  readonly after: number
  readonly upTo: number
  readonly recorded: ReadonlyArray<Recorded<"compose">>
}

export class ProjectionStore extends Context.Service<ProjectionStore, {
  /** Makes what is missing. `outdated` when the live table was built by another version of the projection. */
  prepare(projection: Projection, generation: Generation): Effect.Effect<{ readonly outdated: boolean }, StoreUnavailable>
  checkpoint(projection: Projection, generation: Generation, stream: string): Effect.Effect<number, StoreUnavailable>
  /** Rows and checkpoint in one transaction. */
  apply(projection: Projection, generation: Generation, batch: Batch): Effect.Effect<void, StoreUnavailable | CheckpointMoved>
  /** Puts the rebuilt table in the live one's place if it has come at least as far; answers whether it had. */
  swap(projection: Projection): Effect.Effect<boolean, StoreUnavailable>
  discardRebuild(projection: Projection): Effect.Effect<void, StoreUnavailable>
  /** Runs as the only one with this name among all processes; others wait. */
  alone<A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreUnavailable, R>
}>()("projections/ProjectionStore") {}
