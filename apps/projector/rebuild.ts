/** Builds a read model anew from the log beside the live one, then swaps. Readers are served all the time. */
import { Effect } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { followLog } from "./follow-log.ts"

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
      const head = yield* log.head(stream)
      yield* followLog(projection, "rebuild", stream, { until: head, onBatch: (position) => onProgress({ stream, position, head }) })
    }
    if (yield* store.swap(projection)) return
  }
}, (effect, projection, _onProgress?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`rebuild/${projection.name}`, effect)))
