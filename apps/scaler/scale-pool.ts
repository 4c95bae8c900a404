/** Keeps one pool at its size: looks, decides, acts, again and again. */
import { Effect, Metric } from "effect"
import type { PoolId } from "../../domain/ids.ts"
import type { Held } from "../../domain/ports/lease.ts"
import { ScaleDriver } from "../../domain/ports/scale-driver.ts"
import { decide, type Plan } from "../../domain/scaling/decide.ts"
import type { PoolDemand } from "../../domain/scaling/demand.ts"
import type { Instance, InstanceState } from "../../domain/scaling/instance.ts"
import { type Memory, nothingKnown, stepped } from "../../domain/scaling/memory.ts"
import type { ScalingPolicy } from "../../domain/scaling/policy.ts"
import { failures, instances, steps, wanted } from "./metrics.ts"

export interface ScaledPool {
  readonly pool: PoolId
  readonly policy: ScalingPolicy
  readonly lookEverySeconds: number
  readonly lease: Held
  /** The last word on this pool. */
  readonly demand: () => PoolDemand | undefined
  readonly onLook: Effect.Effect<void>
}

/** A provider that does not answer holds up its own pool alone, and not for ever. */
const patience = "2 minutes"

export const scalePool = Effect.fn("scalePool")(function*({ demand, lease, lookEverySeconds, onLook, policy, pool }: ScaledPool) {
  const driver = yield* ScaleDriver
  let memory: Memory = nothingKnown

  const look = Effect.gen(function*() {
    const there = yield* driver.list
    // What was said while the provider answered counts too: a worker may have begun something.
    const plan = decide({ policy, instances: there, demand: demand(), memory, now: Date.now() })
    yield* measure(pool, there, plan)
    if (!lease.isHeld()) return
    memory = plan.memory
    yield* act(driver, plan, pool)
    if (plan.step._tag !== "Stay") memory = stepped(memory, Date.now())
  })
  const failed = Effect.andThen(Metric.update(Metric.withAttributes(failures, { pool }), 1), Effect.void)
  return yield* look.pipe(
    Effect.timeoutOrElse({ duration: patience, orElse: () => Effect.fail({ message: `the provider does not answer within ${patience}` }) }),
    Effect.catch((error) => Effect.andThen(failed, Effect.logWarning("a pool cannot be scaled", { ...error, message: error.message }))),
    // What is wrong with one pool shall not end the others.
    Effect.catchDefect((defect) => Effect.andThen(failed, Effect.logError("a pool cannot be scaled", defect))),
    Effect.andThen(onLook),
    Effect.andThen(Effect.sleep(lookEverySeconds * 1000)),
    Effect.forever,
    Effect.annotateLogs({ pool })
  )
})

const act = Effect.fnUntraced(function*(driver: ScaleDriver["Service"], { protect, release, step, wanted }: Plan, pool: PoolId) {
  // Whoever works is safe before anything shrinks.
  if (protect.length > 0) yield* driver.protect(protect, true)
  if (release.length > 0) yield* driver.protect(release, false)
  if (step._tag === "Stay") return
  yield* Effect.logInfo(step._tag === "Grow" ? "grows" : "shrinks", { ...step, wanted })
  yield* step._tag === "Grow" ? driver.grow(step.to) : driver.remove(step.ids)
  yield* Metric.update(Metric.withAttributes(steps, { pool, step: step._tag }), 1)
})

const states: ReadonlyArray<InstanceState> = ["starting", "running", "stopping"]

const measure = (pool: PoolId, there: ReadonlyArray<Instance>, plan: Plan) =>
  Effect.andThen(
    Metric.update(Metric.withAttributes(wanted, { pool }), plan.wanted),
    Effect.forEach(states, (state) =>
      Metric.update(Metric.withAttributes(instances, { pool, state }), there.filter((instance) => instance.state === state).length), { discard: true })
  )
