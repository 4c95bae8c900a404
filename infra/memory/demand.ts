import { Effect, Layer, PubSub, Stream } from "effect"
import { Demand } from "../../domain/ports/demand.ts"
import type { PoolDemand } from "../../domain/scaling/demand.ts"

export const DemandInMemory = Layer.effect(Demand, Effect.gen(function*() {
  const last = new Map<string, PoolDemand>()
  const news = yield* PubSub.unbounded<PoolDemand>()
  return Demand.of({
    publish: (demand) => Effect.andThen(Effect.sync(() => last.set(demand.pool, demand)), PubSub.publish(news, demand)).pipe(Effect.asVoid),
    follow: Stream.unwrap(Effect.map(PubSub.subscribe(news), (subscription) =>
      Stream.concat(Stream.fromIterable([...last.values()]), Stream.fromSubscription(subscription))))
  })
}))
