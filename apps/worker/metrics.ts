import { Metric } from "effect"

export const attempts = Metric.counter("kiln_attempts_total", { description: "Attempts ended, by kind and how", incremental: true })
export const busy = Metric.gauge("kiln_busy_slots", { description: "Attempts that run now" })
export const seconds = Metric.histogram("kiln_attempt_seconds", {
  description: "How long attempts take", boundaries: [0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 900, 3600]
})
