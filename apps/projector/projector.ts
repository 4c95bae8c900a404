/** Keeps the read models up with the log. Of several projectors one works, the others wait for it to go. */
import { Effect, Schedule, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { feed } from "./feed.ts"
import { measureLag } from "./metrics.ts"
import { rebuild } from "./rebuild.ts"
import { takeRange } from "./replay-part.ts"
import { Lags } from "./waiting.ts"

export const runProjector = Effect.fn("runProjector")(function*(
  projections: ReadonlyArray<Projection>,
  onReady: Effect.Effect<void> = Effect.void
) {
  const store = yield* ProjectionStore
  yield* Effect.forEach(projections, (projection) => Effect.retry(prepare(projection), Schedule.spaced("1 second")), { discard: true })
  yield* onReady
  const lags = new Lags()
  const tellLags = Effect.suspend(() => Effect.forEach(lags.now(projections, Date.now()), (each) => measureLag(...each), { discard: true }))
  yield* tellLags.pipe(Effect.delay("1 second"), Effect.forever, Effect.forkScoped)
  return yield* store.alone("projector", feedAll(projections, lags)).pipe(
    Effect.tapError(() => Effect.sync(() => lags.fails(Date.now()))),
    Effect.tapError((error) => Effect.logWarning(error.message, { error: error._tag })),
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.andThen(Effect.never)
  )
}, Effect.scoped)

const feedAll = Effect.fnUntraced(function*(projections: ReadonlyArray<Projection>, lags: Lags) {
  const log = yield* EventLog
  // What the aggregates of a sealed stream decided later lies in one that goes on: its rows are made before.
  const sealed = new Set(log.streams.filter((stream) => log.isSealed(stream)))
  for (const stream of sealed) yield* takeSealed(projections, stream)
  yield* log.streamsAsTheyCome.pipe(
    Stream.filter((stream) => !sealed.has(stream)),
    Stream.mapEffect((stream) => feed(projections, stream, lags), { concurrency: "unbounded" }),
    Stream.runDrain
  )
})

/** Nothing can be added to it: whoever was at its end is there for good. */
const takeSealed = Effect.fnUntraced(function*(projections: ReadonlyArray<Projection>, stream: string) {
  const store = yield* ProjectionStore
  const upTo = yield* Effect.flatMap(EventLog, (log) => log.head(stream))
  for (const projection of projections) {
    const after = yield* store.checkpoint(projection, "live", stream)
    if (after < upTo) yield* takeRange(projection, "live", { stream, after, upTo })
  }
})

/** A table of an older version goes on serving until its successor is complete. */
const prepare = Effect.fnUntraced(function*(projection: Projection) {
  const { outdated } = yield* (yield* ProjectionStore).prepare(projection, "live")
  if (!outdated) return
  yield* Effect.logInfo("the read model has a new version and is built anew", { projection: projection.name, version: projection.version })
  yield* rebuild(projection)
}, Effect.tapError((error) => Effect.logWarning(error.message, { error: error._tag })))
