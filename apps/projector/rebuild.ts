/** Builds a read model anew from the log beside the live one, then swaps. Readers are served all the time. */
import { Effect } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { type Part, ProjectionStore } from "../../projections/projection-store.ts"
import { forgetMended } from "./poison.ts"
import { notInPart, takeRange } from "./replay-part.ts"
import { takingAnew } from "./take-anew.ts"

export interface RebuildProgress {
  readonly stream: string
  readonly position: number
  readonly head: number
}

/** Goes on where an interrupted rebuild of the same version and part stopped. */
export const rebuild = Effect.fn("rebuild")(function*(
  projection: Projection,
  onProgress: (progress: RebuildProgress) => Effect.Effect<void> = () => Effect.void,
  part?: Part
) {
  const log = yield* EventLog
  const store = yield* ProjectionStore
  const { outdated } = yield* store.prepare(projection, "rebuild", part)
  if (outdated) return yield* notInPart(projection)
  const take = part?.from === undefined ? takeRange : takingAnew()
  const placeOf = Effect.fnUntraced(function*(stream: string) {
    return { stream, upTo: yield* log.head(stream), after: yield* store.checkpoint(projection, "rebuild", stream) }
  })
  // Ends are looked up from the last stream to the first: what an aggregate of a sealed one decided since is not seen before its seal.
  const places = Effect.map(Effect.suspend(() => Effect.forEach(log.streams.toReversed(), placeOf)), (found) => found.toReversed())
  yield* Effect.forEach(yield* places, ({ after, stream, upTo }) => onProgress({ stream, position: after, head: upTo }), { discard: true })
  for (;;) {
    // The live table moves on meanwhile; each round has less to catch up with.
    for (const place of yield* places) yield* take(projection, "rebuild", place, onProgress)
    yield* store.index(projection, "rebuild")
    if (yield* store.swap(projection)) break
  }
  yield* forgetMended(projection)
}, (effect, projection, _onProgress?, _part?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`rebuild/${projection.name}`, effect)))
