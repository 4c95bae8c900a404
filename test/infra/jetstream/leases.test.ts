import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Fiber, Layer, Schedule, Scope } from "effect"
import { Leases } from "../../../domain/ports/lease.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { LeasesJetStream } from "../../../infra/jetstream/leases.ts"
import { Kvm } from "@nats-io/kv"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"

const Stack = LeasesJetStream({ replicas: 1 }).pipe(Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

layer(Stack, { excludeTestServices: true })("a lease", (it) => {
  it.effect("is one owner's at a time, and goes on with a higher fence when it is given back", () =>
    Effect.gen(function*() {
      const leases = yield* Leases
      const scope = yield* Scope.make()
      const first = yield* leases.acquire("a", "one").pipe(Scope.provide(scope))
      const waiting = yield* Effect.forkChild(leases.acquire("a", "two"))
      yield* Effect.sleep("700 millis")
      assert.isTrue(first.isHeld())
      assert.isUndefined(waiting.pollUnsafe())
      yield* Scope.close(scope, Exit.void)
      assert.isAbove((yield* Fiber.join(waiting)).fence, first.fence)
    }))

  it.effect("is its owner's again at once after a crash", () =>
    Effect.gen(function*() {
      const leases = yield* Leases
      const first = yield* leases.acquire("b", "one")
      assert.isAbove((yield* leases.acquire("b", "one")).fence, first.fence)
    }))

  it.effect("is lost to who took it, and its former holder hears of it", () =>
    Effect.gen(function*() {
      const leases = yield* Leases
      const { js } = yield* CoreNats
      const held = yield* leases.acquire("c", "one")
      const bucket = yield* Effect.promise(() => new Kvm(js).open("LEASES"))
      yield* Effect.promise(() => bucket.put("c", "somebody else"))
      const error = yield* Effect.flip(held.lost)
      assert.strictEqual(error._tag, "LeaseLost")
    }))

  it.effect("is kept by a holder whose renewal was stored though its answer was lost", () =>
    Effect.gen(function*() {
      const leases = yield* Leases
      const { js } = yield* CoreNats
      const held = yield* leases.acquire("d", "one")
      const bucket = yield* Effect.promise(() => new Kvm(js).open("LEASES"))
      const revision = yield* Effect.promise(async () => bucket.put("d", (await bucket.get("d"))!.string()))
      const renewed = Effect.promise(async () => (await bucket.get("d"))!.revision > revision)
      yield* Effect.raceFirst(held.lost, Effect.repeat(renewed, { until: (is) => is, schedule: Schedule.spaced("50 millis") }))
      assert.isTrue(held.isHeld())
    }))
})
