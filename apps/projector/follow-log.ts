/** Feeds one projection from one stream: entries in order, rows and checkpoint together. */
import { Effect, Metric, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import type { Projection } from "../../projections/projection.ts"
import { type Generation, ProjectionStore } from "../../projections/projection-store.ts"
import { parkPoison } from "./poison.ts"
import { lag, position, projected } from "./metrics.ts"

const batchSize = 1000
/** Nobody sees a row so soon; each transaction is a sync of the disk. */
const batchWithin = "20 millis"

/** Goes on for ever. */
export const followLog = Effect.fn("followLog")(function*(projection: Projection, generation: Generation, stream: string) {
  const log = yield* EventLog
  const store = yield* ProjectionStore
  let after = yield* store.checkpoint(projection, generation, stream)
  yield* log.follow(stream, after).pipe(
    Stream.groupedWithin(batchSize, batchWithin),
    Stream.runForEach(Effect.fnUntraced(function*(entries) {
      const upTo = entries.at(-1)!.position.sequence
      const poisons = yield* store.apply(projection, generation, { stream, after, upTo, entries })
      yield* Effect.forEach(poisons, (poison) => parkPoison(projection, poison), { discard: true })
      after = upTo
      yield* measure(projection, generation, entries)
    }))
  )
})

export const measure = Effect.fnUntraced(function*(projection: Projection, generation: Generation, entries: ReadonlyArray<LogEntry>) {
  const newest = entries.at(-1)!
  const labels = { projection: projection.name, generation }
  yield* Metric.update(Metric.withAttributes(projected, labels), entries.length)
  yield* Metric.update(Metric.withAttributes(position, labels), newest.position.sequence)
  if (newest._tag === "Recorded") yield* Metric.update(Metric.withAttributes(lag, labels), Date.now() - newest.at)
})
