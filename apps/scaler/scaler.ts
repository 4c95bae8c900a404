/** Scales pools by what the scheduler says of them. For each pool one scaler acts; others wait for its lease. */
import { Effect, type Layer, Schedule, Stream } from "effect"
import type { PoolId } from "../../domain/ids.ts"
import { Demand } from "../../domain/ports/demand.ts"
import { Leases } from "../../domain/ports/lease.ts"
import type { ScaleDriver } from "../../domain/ports/scale-driver.ts"
import type { PoolDemand } from "../../domain/scaling/demand.ts"
import type { ScalingPolicy } from "../../domain/scaling/policy.ts"
import { scalePool } from "./scale-pool.ts"

export interface ScalerOptions {
  /** Names this scaler; no two that run at the same time may have the same. */
  readonly instance: string
  readonly lookEverySeconds: number
  readonly pools: ReadonlyArray<{ readonly pool: PoolId; readonly policy: ScalingPolicy; readonly driver: Layer.Layer<ScaleDriver> }>
  /** All pools have been looked at once. */
  readonly onReady?: Effect.Effect<void>
}

export const runScaler = Effect.fn("runScaler")(function*({ instance, lookEverySeconds, onReady = Effect.void, pools }: ScalerOptions) {
  const demand = yield* Demand
  const leases = yield* Leases
  const said = new Map<PoolId, PoolDemand>()
  const unseen = new Set(pools.map(({ pool }) => pool))

  const follow = demand.follow.pipe(
    Stream.runForEach((word) => Effect.sync(() => said.set(word.pool, word))),
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.repeat(Schedule.spaced("1 second"))
  )

  const scale = ({ driver, policy, pool }: ScalerOptions["pools"][number]) => {
    const onLook = Effect.suspend(() => unseen.delete(pool) && unseen.size === 0 ? onReady : Effect.void)
    return Effect.gen(function*() {
      const lease = yield* leases.acquire(`scaler-${pool}`, instance)
      yield* Effect.logInfo("scaling", { fence: lease.fence })
      const work = scalePool({ pool, policy, lookEverySeconds, lease, onLook, demand: () => said.get(pool) }).pipe(Effect.provide(driver))
      return yield* Effect.raceFirst(work, lease.lost)
    }).pipe(
      Effect.scoped,
      Effect.tapError((error) => Effect.logWarning("the lease of a pool is lost", { error: error.message })),
      Effect.retry(Schedule.spaced("1 second")),
      Effect.annotateLogs({ pool })
    )
  }

  return yield* Effect.all([follow, ...pools.map(scale)], { concurrency: "unbounded", discard: true }).pipe(Effect.andThen(Effect.never))
})
