import { Effect, Metric } from "effect"
import type { Kind } from "./entries.ts"

const incremental = true
const hits = Metric.counter("kiln_cache_hits_total", { description: "Entries of the cache that were there when they were wanted", incremental })
const misses = Metric.counter("kiln_cache_misses_total", { description: "Entries of the cache that were wanted and not there", incremental })
const evictions = Metric.counter("kiln_cache_evictions_total", { description: "Entries of the cache that were removed for others' sake", incremental })
const bytes = Metric.gauge("kiln_cache_bytes", { description: "Bytes that the entries of the cache have" })

const one = (counter: typeof hits) => (kind: Kind): Effect.Effect<void> => Metric.update(Metric.withAttributes(counter, { kind }), 1)

export const hit = one(hits)
export const miss = one(misses)
export const evicted = one(evictions)
export const held = (kind: Kind, size: number): Effect.Effect<void> =>
  Metric.update(Metric.withAttributes(bytes, { kind }), size)
