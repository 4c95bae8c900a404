/** Keeps the read models up with the log. Of several projectors one works, the others wait for it to go. */
import { Effect, Schedule } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { feed } from "./feed.ts"
import { rebuild } from "./rebuild.ts"

export const runProjector = Effect.fn("runProjector")(function*(
  projections: ReadonlyArray<Projection>,
  onReady: Effect.Effect<void> = Effect.void
) {
  const log = yield* EventLog
  const store = yield* ProjectionStore
  yield* Effect.forEach(projections, (projection) => Effect.retry(prepare(projection), Schedule.spaced("1 second")), { discard: true })
  yield* onReady
  const feeds = Effect.forEach(log.streams, (stream) => feed(projections, stream), { concurrency: "unbounded", discard: true })
  return yield* store.alone("projector", feeds).pipe(
    Effect.tapError((error) => Effect.logWarning(error.message, { error: error._tag })),
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.andThen(Effect.never)
  )
})

/** A table of an older version goes on serving until its successor is complete. */
const prepare = Effect.fnUntraced(function*(projection: Projection) {
  const { outdated } = yield* (yield* ProjectionStore).prepare(projection, "live")
  if (!outdated) return
  yield* Effect.logInfo("the read model has a new version and is built anew", { projection: projection.name, version: projection.version })
  yield* rebuild(projection)
}, Effect.tapError((error) => Effect.logWarning(error.message, { error: error._tag })))
