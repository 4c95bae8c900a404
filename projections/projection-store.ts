import { Context, type Effect, Schema } from "effect"
import type { TenantId } from "../domain/ids.ts"
import type { AggregateRef, LogEntry, Recorded } from "../domain/recorded.ts"
import type { Projection } from "./projection.ts"

export class StoreUnavailable extends Schema.TaggedError<StoreUnavailable>()("StoreUnavailable", { message: Schema.String }) {}

/** Somebody else moved the checkpoint, as a rebuild does when it swaps its table in: read it again and go on from there. */
export class CheckpointMoved extends Schema.TaggedError<CheckpointMoved>()("CheckpointMoved", { projection: Schema.String }) {}

/** `live` is what queries read; the others grow beside it: `rebuild` to take its place, `check` to be compared with it, `past` to be looked at. */
export type Generation = "live" | "rebuild" | "check" | "past"

/** Entries of one stream in order, up to `upTo`, which becomes the checkpoint. */
export interface Entries {
  readonly stream: string
  readonly upTo: number
  readonly entries: ReadonlyArray<LogEntry>
}

/**
 * `after`: the checkpoint before; entries up to there are passed over. `anew`: aggregates all of whose entries up to here are
 * in the batch, earlier ones too; what the table has of them is forgotten.
 */
export interface Batch extends Entries {
  readonly after: number
  readonly anew?: ReadonlyArray<AggregateRef>
}

/**
 * What a table beside the live one is to be, where that is not all of the log. `name` tells it from others; `from`: it begins
 * as the live one's rows, or its tenant's alone, and as far as it had come at these places of streams, or wherever it is.
 */
export interface Part {
  readonly name: string
  readonly tenantId?: TenantId | undefined
  readonly from?: ReadonlyMap<string, number> | undefined
}

/** What one of several read models takes of the same entries: those after its own checkpoint. */
export interface Share {
  readonly projection: Projection
  readonly after: number
}

/** `left`: whose checkpoint somebody else holds, or has moved; nothing of theirs is changed. */
export interface TakenTogether {
  readonly poisons: ReadonlyMap<Projection, ReadonlyArray<Poison>>
  readonly left: ReadonlyArray<Projection>
}

/** Entries become rows at once, and wait to be written together. */
export interface Filling {
  readonly rowsWaiting: () => number
  take(entries: ReadonlyArray<LogEntry>): Effect.Effect<void, StoreUnavailable>
  /** What waits and the checkpoint, which becomes `upTo`, in one transaction. More may be taken meanwhile. Answers what could not be taken in. */
  write(upTo: number): Effect.Effect<ReadonlyArray<Poison>, StoreUnavailable | CheckpointMoved>
}

/** An entry that could not be taken in. Its aggregate's rows stay as they were before it, until it is folded anew. */
export interface Poison {
  readonly entry: LogEntry
  readonly reason: string
}

/** An aggregate whose later entries a projection passes over; `sequence`: of the entry that was the first of them. */
export interface ParkedAggregate {
  readonly ref: AggregateRef
  readonly stream: string
  readonly sequence: number
  readonly reason: string
}

/** `behind`: the table has come further than what was read; read again. */
export type Refolded = { readonly _tag: "Done" } | { readonly _tag: "Behind" } | { readonly _tag: "StillPoisoned"; readonly reason: string }

export class ProjectionStore extends Context.Service<ProjectionStore, {
  /**
   * Makes what is missing; what an earlier try has left of the same version and part is gone on with. `outdated` when the
   * live table was built by another version of the projection, or is not there, and is needed: then nothing is made.
   */
  prepare(projection: Projection, generation: Generation, part?: Part): Effect.Effect<{ readonly outdated: boolean }, StoreUnavailable>
  checkpoint(projection: Projection, generation: Generation, stream: string): Effect.Effect<number, StoreUnavailable>
  /** Rows and checkpoint in one transaction. Answers what could not be taken in, which holds up nothing but its own aggregate. */
  apply(projection: Projection, generation: Generation, batch: Batch): Effect.Effect<ReadonlyArray<Poison>, StoreUnavailable | CheckpointMoved>
  /** For many entries of a stream, in order, from its checkpoint `after` on, into a table to which nobody else writes. */
  filling(projection: Projection, generation: Generation, place: { readonly stream: string; readonly after: number }): Effect.Effect<Filling, StoreUnavailable>
  /** The same entries into several live tables in one transaction, which waits for nobody. */
  applyTogether(shares: ReadonlyArray<Share>, entries: Entries): Effect.Effect<TakenTogether, StoreUnavailable>
  /** Makes what queries need, once a table that grew beside the live one is nearly complete. */
  index(projection: Projection, generation: Generation): Effect.Effect<void, StoreUnavailable>
  /** Puts the rebuilt table in the live one's place if it has come at least as far; answers whether it had. */
  swap(projection: Projection): Effect.Effect<boolean, StoreUnavailable>
  discard(projection: Projection, generation: Generation): Effect.Effect<void, StoreUnavailable>
  /** What the live table passes over. */
  parked(projection: Projection): Effect.Effect<ReadonlyArray<ParkedAggregate>, StoreUnavailable>
  /** Folds one aggregate's rows of the live table anew from its whole history, which was read when streams had at least these heads. */
  refold(projection: Projection, history: ReadonlyArray<Recorded>, heads: ReadonlyMap<string, number>): Effect.Effect<Refolded, StoreUnavailable>
  /** Runs while the live table cannot move on: with its positions by stream. Readers go on. */
  whileStill<A, E, R>(projection: Projection, effect: (positions: ReadonlyMap<string, number>) => Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreUnavailable, R>
  /** Puts the rebuilt rows of one tenant in the place of the live ones; only while the table is still. */
  replaceTenant(projection: Projection, tenantId: TenantId): Effect.Effect<void, StoreUnavailable>
  /** Rows that are not the same in both: how many, and some of their keys. */
  differences(projection: Projection, generation: Generation): Effect.Effect<{ readonly count: number; readonly keys: ReadonlyArray<string> }, StoreUnavailable>
  /** Runs as the only one with this name among all processes; others wait. */
  alone<A, E, R>(name: string, effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | StoreUnavailable, R>
}>()("projections/ProjectionStore") {}
