import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { PrometheusMetrics } from "effect/observability"
import { measureDemand } from "../../../apps/scheduler/demand-metrics.ts"
import { demandOf, start, wanting } from "../../domain/scaling/pools.ts"

describe("the metrics of a pool", () => {
  it.effect("say what its demand says, by kind, in seconds and slots", () =>
    Effect.gen(function*() {
      const build = wanting(7, { waiting: 5, oldestWaitMs: 1500, busySlots: 2, freeSlots: 3 })
      yield* measureDemand(demandOf(0, [], start, { build: { ...build, waiting: 50 } }))
      yield* measureDemand(demandOf(0, [], start, { build }))
      const lines = PrometheusMetrics.formatUnsafe(yield* Effect.context<never>()).split("\n")
      const valueOf = (name: string, kind: string) =>
        lines.find((line) => line.startsWith(`kiln_pool_${name}{`) && line.includes(`kind="${kind}"`) && line.includes("pool=\"default\""))?.split(" ").at(-1)
      assert.deepStrictEqual(["waiting_jobs", "oldest_wait_seconds", "busy_slots", "free_slots", "wanted_slots"].map((name) => valueOf(name, "build")), ["5", "1.5", "2", "3", "7"])
      assert.strictEqual(valueOf("waiting_jobs", "upload"), "0")
    }))
})
