import { Metric } from "effect"

export const projected = Metric.counter("kiln_projected_entries_total", { description: "Log entries taken into a read model", incremental: true })
/** Milliseconds between an entry's own time and its commit to the read model. */
export const lag = Metric.gauge("kiln_projection_lag_ms", { description: "Age of the newest entry when its rows were committed" })
export const position = Metric.gauge("kiln_projection_position", { description: "Sequence of the last entry taken in" })
