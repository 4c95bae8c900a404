import { Effect, Metric } from "effect"
import type { JobKind } from "../../domain/job.ts"

const attempts = Metric.counter("kiln_attempts_total", { description: "Attempts ended, by kind and how", incremental: true })
export const busy = Metric.gauge("kiln_busy_slots", { description: "Attempts that run now" })
const seconds = Metric.histogram("kiln_attempt_seconds", {
  description: "How long attempts take", boundaries: [0.1, 0.5, 1, 5, 10, 30, 60, 120, 300, 900, 3600]
})

export const uploadedBytes = Metric.counter("kiln_uploaded_bytes_total", { description: "Bytes sent to clouds, by target type", incremental: true })

const known = new Map<string, Effect.Effect<void>>()
const durations = new Map<string, Metric.Metric<number, unknown>>()

/** Labels are few: what they make of a metric is made once. */
export const attemptEnded = (kind: JobKind, how: string, tookMs: number): Effect.Effect<void> => {
  const counted = known.get(`${kind}/${how}`) ?? Metric.update(Metric.withAttributes(attempts, { kind, how }), 1)
  known.set(`${kind}/${how}`, counted)
  const timed = durations.get(kind) ?? Metric.withAttributes(seconds, { kind })
  durations.set(kind, timed)
  return Effect.andThen(counted, Metric.update(timed, tookMs / 1000))
}
