import { Metric } from "effect"

export const attempts = Metric.counter("kiln_webhook_attempts_total", { description: "Deliveries tried, by what came of it", incremental: true })
export const delay = Metric.histogram("kiln_webhook_delay_seconds", {
  description: "Seconds from a decision to its arrival, of what arrived at the first attempt",
  boundaries: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, Number.POSITIVE_INFINITY]
})
export const waiting = Metric.gauge("kiln_webhook_waiting", { description: "Deliveries that have not arrived yet" })
export const failed = Metric.gauge("kiln_webhook_failed", { description: "Of those, what has been tried in vain" })
export const parked = Metric.gauge("kiln_webhook_parked", { description: "Deliveries that were given up" })
export const oldest = Metric.gauge("kiln_webhook_oldest_seconds", { description: "Age of the oldest delivery that waits" })
export const failingEndpoints = Metric.gauge("kiln_webhook_failing_endpoints", { description: "Webhooks to which nothing arrives" })
export const position = Metric.gauge("kiln_webhook_position", { description: "Sequence of the last entry taken in, by stream" })
export const disabled = Metric.counter("kiln_webhooks_disabled_total", { description: "Webhooks that were disabled since nothing arrived", incremental: true })
