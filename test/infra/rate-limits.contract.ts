/** What every `RateLimits` does; `gateway` opens one more of those that share their buckets. */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Schedule, type Scope } from "effect"
import { v7 } from "uuid"
import type { RateLimits, Taken } from "../../domain/ports/rate-limits.ts"

type Gateway = RateLimits["Service"]

export const rateLimitsContract = <R>(it: Vitest.MethodsNonLive<R>, gateway: Effect.Effect<Gateway, unknown, R | Scope.Scope>) => {
  const slow = (burst: number) => ({ key: `tenant.${v7()}`, limit: { perSecond: 0.001, burst } })
  const admitted = (taken: ReadonlyArray<Taken>) => taken.filter((each) => each.admitted).length
  const times = <A, E>(count: number, effect: (n: number) => Effect.Effect<A, E>) =>
    Effect.forEach(Array.from({ length: count }, (_, n) => n), effect, { concurrency: "unbounded" })

  it.effect("admits what the bucket holds, and then no more", () =>
    Effect.gen(function*() {
      const limits = yield* gateway
      const bucket = slow(5)
      const taken: Array<Taken> = []
      for (let n = 0; n < 8; n++) taken.push(yield* limits.take(bucket))
      assert.deepStrictEqual(taken.map((each) => each.admitted), [true, true, true, true, true, false, false, false])
      assert.deepStrictEqual(taken.map(({ remaining }) => remaining), [4, 3, 2, 1, 0, 0, 0, 0])
      assert.isTrue(taken.slice(5).every(({ fullInMs, waitMs }) => waitMs > 900_000 && fullInMs >= 5_000_000))
    }))

  it.effect("admits exactly the bucket over two that are asked at once", () =>
    Effect.gen(function*() {
      const gateways = [yield* gateway, yield* gateway]
      const bucket = slow(50)
      assert.strictEqual(admitted(yield* times(400, (n) => gateways[n % 2]!.take(bucket))), 50)
    }))

  it.effect("admits never more over two that are asked by turns, whatever each has leased", () =>
    Effect.gen(function*() {
      const gateways = [yield* gateway, yield* gateway]
      const bucket = slow(60)
      let total = 0
      for (let n = 0; n < 200; n++) total += admitted([yield* gateways[n % 2]!.take(bucket)])
      assert.isAtMost(total, 60)
      assert.isAtLeast(total, 50)
    }))

  it.effect("has room again with time", () =>
    Effect.gen(function*() {
      const limits = yield* gateway
      const bucket = { key: `tenant.${v7()}`, limit: { perSecond: 50, burst: 1 } }
      yield* limits.take(bucket)
      const { waitMs } = yield* limits.take(bucket)
      assert.isAtMost(waitMs, 20)
      yield* limits.take(bucket).pipe(Effect.repeat({ until: (taken) => taken.admitted, schedule: Schedule.spaced("5 millis") }))
    }))

  it.effect("forgets what was given back", () =>
    Effect.gen(function*() {
      const limits = yield* gateway
      const bucket = slow(1)
      yield* limits.take(bucket)
      yield* limits.giveBack(bucket)
      assert.isTrue((yield* limits.take(bucket)).admitted)
    }))

  it.effect("keeps buckets apart", () =>
    Effect.gen(function*() {
      const limits = yield* gateway
      yield* limits.take(slow(1))
      assert.isTrue((yield* limits.take(slow(1))).admitted)
    }))
}
