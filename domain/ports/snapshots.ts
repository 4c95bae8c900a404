import { Context, type Effect, Schema } from "effect"

export class SnapshotsUnavailable extends Schema.TaggedError<SnapshotsUnavailable>()("SnapshotsUnavailable", { message: Schema.String }) {}

/** A short cut over a long log; losing one costs time and nothing else. */
export class Snapshots extends Context.Service<Snapshots, {
  load(name: string): Effect.Effect<string | undefined, SnapshotsUnavailable>
  save(name: string, text: string): Effect.Effect<void, SnapshotsUnavailable>
}>()("domain/ports/Snapshots") {}
