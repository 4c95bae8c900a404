/** What every `Demand` does. Run by each adapter's own test. */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Fiber, Stream } from "effect"
import { Millis, PoolId } from "../../domain/ids.ts"
import { Demand } from "../../domain/ports/demand.ts"
import type { PoolDemand } from "../../domain/scaling/demand.ts"
import { busy, demandOf, idle } from "../domain/scaling/pools.ts"

const said = (pool: string, at: number, builds = 1): PoolDemand =>
  ({ ...demandOf(builds, [busy("w1"), idle("w2", 5000)]), pool: PoolId.make(pool), at: Millis.make(at) })

export const demandContract = (it: Vitest.MethodsNonLive<Demand>) => {
  it.effect("gives a later follower the last word on every pool, whole", () =>
    Effect.gen(function*() {
      const demand = yield* Demand
      for (const word of [said("one", 1), said("two", 2), said("one", 3, 4)]) yield* demand.publish(word)
      const heard = yield* demand.follow.pipe(Stream.filter(({ pool }) => ["one", "two"].includes(pool)), Stream.take(2), Stream.runCollect)
      assert.deepStrictEqual(heard.toSorted((a, b) => a.pool < b.pool ? -1 : 1), [said("one", 3, 4), said("two", 2)])
    }))

  it.effect("gives every follower each new word", () =>
    Effect.gen(function*() {
      const demand = yield* Demand
      yield* demand.publish(said("three", 1))
      const follow = demand.follow.pipe(Stream.filter(({ pool }) => pool === "three"), Stream.takeUntil(({ at }) => at === 3), Stream.runCollect)
      const followers = yield* Effect.forEach([1, 2], () => Effect.forkChild(follow))
      yield* demand.follow.pipe(Stream.filter(({ pool }) => pool === "three"), Stream.take(1), Stream.runDrain)
      yield* demand.publish(said("three", 2))
      yield* demand.publish(said("three", 3))
      for (const heard of yield* Effect.forEach(followers, (fiber) => Fiber.join(fiber))) assert.strictEqual(heard.at(-1)?.at, Millis.make(3))
    }))
}
