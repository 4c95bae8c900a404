/** Whether a read model is what the log says, row for row. */
import { Effect } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { catchUp, type OnProgress, takeRange } from "./replay-part.ts"

export type Verified =
  | { readonly _tag: "Outdated" }
  | { readonly _tag: "Compared"; readonly differences: number; readonly keys: ReadonlyArray<string>; readonly parked: number }

/** Built once more beside the live table; the live one stands still only while both are compared. */
export const verifyProjection = Effect.fn("verifyProjection")(function*(projection: Projection, onProgress?: OnProgress) {
  const store = yield* ProjectionStore
  const log = yield* EventLog
  const { outdated } = yield* store.prepare(projection, "live")
  if (outdated) return { _tag: "Outdated" } satisfies Verified as Verified
  yield* store.discard(projection, "check")
  yield* store.prepare(projection, "check")
  for (const stream of log.streams) {
    yield* takeRange(projection, "check", { stream, after: 0, upTo: yield* store.checkpoint(projection, "live", stream) }, onProgress)
  }
  const found = yield* store.whileStill(projection, (positions) =>
    Effect.andThen(catchUp(projection, "check", positions), store.differences(projection, "check")))
  const parked = yield* store.parked(projection)
  yield* store.discard(projection, "check")
  return { _tag: "Compared", differences: found.count, keys: found.keys, parked: parked.length } satisfies Verified as Verified
}, (effect, projection, _onProgress?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`verify/${projection.name}`, effect)))
