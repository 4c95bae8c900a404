import { Layer } from "effect"
import { RateLimits } from "../../domain/ports/rate-limits.ts"
import { type BucketStore, type Found, leasing } from "../rate-limits/leasing.ts"

/** Several gateways of one process may share it. */
export const bucketsInMemory = (): BucketStore => {
  const buckets = new Map<string, Found & { readonly revision: number }>()
  return {
    get: async (key) => buckets.get(key) ?? { bucket: undefined, revision: undefined },
    put: async (key, bucket, revision) => {
      if (buckets.get(key)?.revision !== revision) return undefined
      const next = (revision ?? 0) + 1
      buckets.set(key, { bucket, revision: next })
      return next
    }
  }
}

export const RateLimitsOver = (store: BucketStore) => Layer.effect(RateLimits, leasing(store))
export const RateLimitsInMemory = Layer.suspend(() => RateLimitsOver(bucketsInMemory()))
