import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Logger } from "effect"
import { RateLimits } from "../../../domain/ports/rate-limits.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { RateLimitsJetStream } from "../../../infra/jetstream/rate-limits.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"
import { rateLimitsContract } from "../rate-limits.contract.ts"

/** Over a connection of its own, as each gateway has one. */
const gateway = Effect.map(
  Layer.build(Layer.fresh(RateLimitsJetStream({ replicas: 1 }).pipe(Layer.provideMerge(TestAccounts)))),
  (context) => ({ limits: Context.get(context, RateLimits), nats: Context.get(context, CoreNats) })
)

layer(TestNats.layer, { excludeTestServices: true })("rate limits on JetStream", (it) => {
  rateLimitsContract(it, Effect.map(gateway, ({ limits }) => limits))

  it.effect("count in this process alone while NATS is away, from a full bucket, and say so once", () =>
    Effect.gen(function*() {
      const { limits, nats } = yield* gateway
      const said: Array<string> = []
      yield* Effect.promise(() => nats.nc.close())
      const bucket = { key: "tenant.away", limit: { perSecond: 0.001, burst: 3 } }
      const taken = yield* Effect.forEach([1, 2, 3, 4, 5], () => limits.take(bucket)).pipe(
        Effect.provide(Logger.layer([Logger.make(({ message }) => void said.push(String(message)))])))
      assert.deepStrictEqual(taken.map(({ admitted }) => admitted), [true, true, true, false, false])
      assert.deepStrictEqual(said, ["shared rate limits cannot be reached: this gateway counts by itself"])
    }))
})
