import { Context, type Effect, Schema, type Stream } from "effect"

export class SnapshotsUnavailable extends Schema.TaggedError<SnapshotsUnavailable>()("SnapshotsUnavailable", { message: Schema.String }) {}

/** A short cut over a long log; losing one costs time and nothing else. */
export class Snapshots extends Context.Service<Snapshots, {
  /** Lines without their ends, as they were saved; none if there is no snapshot of this name. */
  load(name: string): Stream.Stream<string, SnapshotsUnavailable>
  /** Asks for the lines one after the other, letting others run in between; takes the old one's place when it is complete. */
  save(name: string, lines: Iterable<string>): Effect.Effect<void, SnapshotsUnavailable>
}>()("domain/ports/Snapshots") {}
