/** Demand as keys of a bucket, one a pool: who comes later sees the last word at once. */
import { Kvm } from "@nats-io/kv"
import { Effect, Exit, Layer, Schema, Stream } from "effect"
import { Demand, DemandUnavailable } from "../../domain/ports/demand.ts"
import { PoolDemand } from "../../domain/scaling/demand.ts"
import { CoreNats, patiently } from "./nats.ts"
import { ensureBucket } from "./streams.ts"

/** What is older helps nobody. */
const lifetimeMs = 60_000
/** Whoever says it has other things to do. */
const patience = "500 millis"

const encode = Schema.encodeSync(Schema.fromJsonString(PoolDemand))
const decode = Schema.decodeUnknownExit(Schema.fromJsonString(PoolDemand))
const unavailable = (error: unknown) => new DemandUnavailable({ message: `demand cannot be told: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

export const DemandJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Demand, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    const bucket = yield* patiently(() => new Kvm(js).create("DEMAND", { ttl: lifetimeMs, history: 1, replicas })).pipe(
      Effect.tap(() => ensureBucket(jsm, "KV_DEMAND", { replicas, lifetimeMs })), Effect.mapError(unavailable))
    const entries = Stream.unwrap(Effect.map(
      Effect.acquireRelease(attempt(() => bucket.watch()), (watcher) => Effect.sync(() => watcher.stop())),
      (watcher) => Stream.fromAsyncIterable(watcher, unavailable)
    ))
    return Demand.of({
      publish: (demand) =>
        attempt(() => bucket.put(demand.pool, encode(demand))).pipe(
          Effect.timeout(patience), Effect.asVoid, Effect.catch((error) => Effect.logDebug(error.message))
        ),
      follow: entries.pipe(
        Stream.filter((entry) => entry.operation === "PUT"),
        Stream.mapEffect((entry) => {
          const demand = decode(entry.string())
          return Exit.isSuccess(demand)
            ? Effect.succeed([demand.value])
            : Effect.as(Effect.logWarning("the demand of a pool cannot be read", { pool: entry.key }), [])
        }),
        Stream.flatMap(Stream.fromIterable)
      )
    })
  }))
