/** Shared buckets in a key-value bucket in memory: written by who has seen the last revision, and by nobody else. */
import { type KV, Kvm } from "@nats-io/kv"
import { StorageType } from "@nats-io/jetstream"
import { Effect, Layer, Schema } from "effect"
import { RateLimits } from "../../domain/ports/rate-limits.ts"
import { SharedBucket } from "../../domain/token-bucket.ts"
import { type BucketStore, leasing } from "../rate-limits/leasing.ts"
import { CoreNats, NatsFailed, patiently } from "./nats.ts"
import { ensureBucket } from "./streams.ts"

const Text = Schema.fromJsonString(SharedBucket)
const decode = Schema.decodeUnknownSync(Text)

/** No policy has a bucket that takes longer to fill: one that nobody touched is full. */
const forgottenAfter = 3_600_000

export const RateLimitsJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(RateLimits, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    const lifetimeMs = forgottenAfter
    const buckets = yield* patiently(() =>
      new Kvm(js).create("RATE_LIMITS", { ttl: lifetimeMs, replicas, storage: StorageType.Memory, history: 1, allow_direct: false })).pipe(
        Effect.tap(() => ensureBucket(jsm, "KV_RATE_LIMITS", { replicas, lifetimeMs })),
        Effect.mapError(({ message }) => new NatsFailed({ message: `rate limits cannot be kept: ${message}` })))
    return yield* leasing(storeOf(buckets))
  }))

const storeOf = (buckets: KV): BucketStore => ({
  get: async (key) => {
    const entry = await buckets.get(key)
    if (entry === null) return { bucket: undefined, revision: undefined }
    return { bucket: entry.operation === "PUT" ? decode(entry.string()) : undefined, revision: entry.revision }
  },
  put: async (key, bucket, revision) => {
    try {
      return await (revision === undefined ? buckets.create(key, JSON.stringify(bucket)) : buckets.update(key, JSON.stringify(bucket), revision))
    } catch (error) {
      if ((error as { code?: number }).code === 10071) return undefined
      throw error
    }
  }
})
