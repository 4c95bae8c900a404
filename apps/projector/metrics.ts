import { Effect, Metric } from "effect"
import type { Position } from "../../domain/recorded.ts"
import type { Projection } from "../../projections/projection.ts"
import type { Generation } from "../../projections/projection-store.ts"

const projected = Metric.counter("kiln_projected_entries_total", { description: "Log entries taken into a read model", incremental: true })
/** Milliseconds since 1970 of the first entry that a read model lacks, against now. */
const lag = Metric.gauge("kiln_projection_lag_ms", { description: "Age of the first entry whose rows are not there yet" })
const position = Metric.gauge("kiln_projection_position", { description: "Sequence of the last entry taken in" })

/** How many were taken in, and where the last of them lies. */
export const measure = Effect.fnUntraced(function*(projection: Projection, generation: Generation, entries: number, { sequence, stream }: Position) {
  const labels = { projection: projection.name, generation }
  yield* Metric.update(Metric.withAttributes(projected, labels), entries)
  yield* Metric.update(Metric.withAttributes(position, { ...labels, stream }), sequence)
})

/** `since`: the time of the first entry that is not in its rows yet, if there is one. */
export const measureLag = (projection: Projection, stream: string, since: number | undefined) =>
  Metric.update(Metric.withAttributes(lag, { projection: projection.name, stream }), since === undefined ? 0 : Math.max(0, Date.now() - since))
