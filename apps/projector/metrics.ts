import { Effect, Metric } from "effect"
import type { LogEntry } from "../../domain/recorded.ts"
import type { Projection } from "../../projections/projection.ts"
import type { Generation } from "../../projections/projection-store.ts"

const projected = Metric.counter("kiln_projected_entries_total", { description: "Log entries taken into a read model", incremental: true })
/** Milliseconds between an entry's own time and its commit to the read model. */
const lag = Metric.gauge("kiln_projection_lag_ms", { description: "Age of the newest entry when its rows were committed" })
const position = Metric.gauge("kiln_projection_position", { description: "Sequence of the last entry taken in" })

export const measure = Effect.fnUntraced(function*(projection: Projection, generation: Generation, entries: ReadonlyArray<LogEntry>) {
  const newest = entries.at(-1)!
  const labels = { projection: projection.name, generation }
  yield* Metric.update(Metric.withAttributes(projected, labels), entries.length)
  yield* Metric.update(Metric.withAttributes(position, labels), newest.position.sequence)
  if (newest._tag === "Recorded") yield* Metric.update(Metric.withAttributes(lag, labels), Date.now() - newest.at)
})
