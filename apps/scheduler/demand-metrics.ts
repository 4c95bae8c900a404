import { Effect, Metric } from "effect"
import type { JobKind } from "../../domain/job.ts"
import type { KindDemand, PoolDemand } from "../../domain/scaling/demand.ts"

export const demandMetrics = {
  waiting: Metric.gauge("kiln_pool_waiting_jobs", { description: "Jobs that wait for a slot, by pool and kind" }),
  oldestWait: Metric.gauge("kiln_pool_oldest_wait_seconds", { description: "How long the oldest of them has waited" }),
  busy: Metric.gauge("kiln_pool_busy_slots", { description: "Slots that work" }),
  free: Metric.gauge("kiln_pool_free_slots", { description: "Slots of workers that take new work and have none" }),
  wanted: Metric.gauge("kiln_pool_wanted_slots", { description: "Slots that would keep the oldest wait within its target" })
}

/** To be called whenever demand was worked out, whether anybody scales by it or not. */
export const measureDemand = ({ kinds, pool }: PoolDemand): Effect.Effect<void> =>
  Effect.forEach(Object.entries(kinds) as ReadonlyArray<[JobKind, KindDemand]>, ([kind, demand]) => {
    const set = (metric: Metric.Gauge<number>, value: number) => Metric.update(Metric.withAttributes(metric, { pool, kind }), value)
    return Effect.all([
      set(demandMetrics.waiting, demand.waiting),
      set(demandMetrics.oldestWait, demand.oldestWaitMs / 1000),
      set(demandMetrics.busy, demand.busySlots),
      set(demandMetrics.free, demand.freeSlots),
      set(demandMetrics.wanted, demand.wantedSlots)
    ], { discard: true })
  }, { discard: true })
