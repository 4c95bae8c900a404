/** Builds a read model anew from the log beside the live one, then swaps. Readers are served all the time. */
import { Effect } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { takeRange } from "./replay-part.ts"

export interface RebuildProgress {
  readonly stream: string
  readonly position: number
  readonly head: number
}

/** Goes on where an interrupted rebuild of the same version stopped. */
export const rebuild = Effect.fn("rebuild")(function*(
  projection: Projection,
  onProgress: (progress: RebuildProgress) => Effect.Effect<void> = () => Effect.void
) {
  const log = yield* EventLog
  const store = yield* ProjectionStore
  yield* store.prepare(projection, "rebuild")
  for (;;) {
    // The live table moves on meanwhile; each round has less to catch up with.
    for (const stream of log.streams) {
      const after = yield* store.checkpoint(projection, "rebuild", stream)
      yield* takeRange(projection, "rebuild", { stream, after, upTo: yield* log.head(stream) }, onProgress)
    }
    yield* store.index(projection, "rebuild")
    if (yield* store.swap(projection)) return
  }
}, (effect, projection, _onProgress?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`rebuild/${projection.name}`, effect)))
