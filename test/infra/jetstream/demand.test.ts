import { assert, layer } from "@effect/vitest"
import { Kvm } from "@nats-io/kv"
import { Effect, Fiber, Layer, Schedule, Stream } from "effect"
import { Millis, PoolId } from "../../../domain/ids.ts"
import { Demand } from "../../../domain/ports/demand.ts"
import { DemandJetStream } from "../../../infra/jetstream/demand.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"
import { demandOf } from "../../domain/scaling/pools.ts"
import { demandContract } from "../demand.contract.ts"

const Stack = DemandJetStream({ replicas: 1 }).pipe(Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))
const said = (pool: string, at: number) => ({ ...demandOf(1), pool: PoolId.make(pool), at: Millis.make(at) })

layer(Stack, { excludeTestServices: true })("demand in JetStream", (it) => {
  demandContract(it)

  it.effect("passes over what is no demand", () =>
    Effect.gen(function*() {
      const demand = yield* Demand
      const { js } = yield* CoreNats
      const bucket = yield* Effect.promise(() => new Kvm(js).open("DEMAND"))
      yield* Effect.promise(() => bucket.put("broken", "{}"))
      yield* demand.publish(said("whole", 1))
      const heard = yield* demand.follow.pipe(Stream.takeUntil(({ pool }) => pool === "whole"), Stream.runCollect)
      assert.notInclude(heard.map(({ pool }) => pool as string), "broken")
    }))

  it.effect("goes on when the server was away", () =>
    Effect.gen(function*() {
      const demand = yield* Demand
      const { restart } = yield* TestNats
      const follower = yield* demand.follow.pipe(Stream.filter(({ pool }) => pool === "lasting"), Stream.takeUntil(({ at }) => at > 1), Stream.runCollect, Effect.forkChild)
      yield* demand.publish(said("lasting", 1))
      yield* restart
      const speaker = yield* demand.publish(said("lasting", 2)).pipe(Effect.repeat(Schedule.spaced("200 millis")), Effect.forkChild)
      assert.strictEqual((yield* Fiber.join(follower)).at(-1)?.at, Millis.make(2))
      yield* Fiber.interrupt(speaker)
    }))
})
