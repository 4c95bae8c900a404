/** Keeps the read models up with the log. Of several projectors one works on a projection, the others wait for it to go. */
import { Effect, Schedule } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { followLog } from "./follow-log.ts"
import { rebuild } from "./rebuild.ts"

export const runProjector = Effect.fn("runProjector")(function*(
  projections: Iterable<Projection>,
  onReady: Effect.Effect<void> = Effect.void
) {
  yield* Effect.forEach(projections, (projection) => Effect.retry(prepare(projection), Schedule.spaced("1 second")), { discard: true })
  yield* onReady
  return yield* Effect.forEach(projections, keepUp, { concurrency: "unbounded", discard: true }).pipe(Effect.andThen(Effect.never))
})

/** A table of an older version goes on serving until its successor is complete. */
const prepare = Effect.fnUntraced(function*(projection: Projection) {
  const { outdated } = yield* (yield* ProjectionStore).prepare(projection, "live")
  if (!outdated) return
  yield* Effect.logInfo("the read model has a new version and is built anew", { projection: projection.name, version: projection.version })
  yield* rebuild(projection)
}, Effect.tapError((error) => Effect.logWarning(error.message, { error: error._tag })))

const keepUp = (projection: Projection) =>
  Effect.gen(function*() {
    const log = yield* EventLog
    const store = yield* ProjectionStore
    yield* store.alone(`projector/${projection.name}`,
      Effect.forEach(log.streams, (stream) => followLog(projection, "live", stream), { concurrency: "unbounded", discard: true }))
  }).pipe(
    Effect.tapError((error) => Effect.logWarning(error.message, { projection: projection.name, error: error._tag })),
    Effect.retry(Schedule.spaced("500 millis"))
  )
