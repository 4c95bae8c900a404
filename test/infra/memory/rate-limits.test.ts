import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Schedule } from "effect"
import { bucketsInMemory } from "../../../infra/memory/rate-limits.ts"
import { type BucketStore, leasing } from "../../../infra/rate-limits/leasing.ts"
import { rateLimitsContract } from "../rate-limits.contract.ts"

const buckets = bucketsInMemory()

layer(Layer.empty, { excludeTestServices: true })("rate limits in memory", (it) => {
  rateLimitsContract(it, leasing(buckets))

  it.effect("count by what is shared again when that has come back", () =>
    Effect.gen(function*() {
      const shared = bucketsInMemory()
      let away = true
      let answered = false
      const flaky: BucketStore = {
        get: async (key) => {
          if (away) throw new Error("away")
          answered = true
          return shared.get(key)
        },
        put: (key, bucket, revision) => away ? Promise.reject(new Error("away")) : shared.put(key, bucket, revision)
      }
      const [one, other] = [yield* leasing(flaky), yield* leasing(shared)]
      const bucket = { key: "tenant.acme", limit: { perSecond: 0.001, burst: 4 } }
      yield* Effect.forEach([1, 2, 3, 4], () => other.take(bucket))
      assert.isTrue((yield* one.take(bucket)).admitted)
      away = false
      yield* Effect.sync(() => answered).pipe(
        Effect.repeat({ until: (back) => back, schedule: Schedule.spaced("50 millis") }))
      const taken = yield* Effect.forEach([1, 2, 3, 4], () => one.take(bucket))
      assert.deepStrictEqual(taken.map(({ admitted }) => admitted), [false, false, false, false])
    }))
})
