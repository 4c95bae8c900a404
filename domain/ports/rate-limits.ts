import { Context, type Effect } from "effect"
import type { RateLimit } from "../policy.ts"

export interface Bucket {
  /** Lower-case letters, digits, hyphens and dots. */
  readonly key: string
  readonly limit: RateLimit
}

/** `remaining` as this process knows it; both times in milliseconds from now. */
export interface Taken {
  readonly admitted: boolean
  readonly remaining: number
  readonly waitMs: number
  readonly fullInMs: number
}

/** Token buckets that all gateways share: together they admit never more than a bucket allows. */
export class RateLimits extends Context.Service<RateLimits, {
  /** Never fails: while the shared bucket cannot be reached, one of this process alone takes its place. */
  take(bucket: Bucket): Effect.Effect<Taken>
  /** Undoes a `take` that was admitted a moment ago. */
  giveBack(bucket: Bucket): Effect.Effect<void>
}>()("domain/ports/RateLimits") {}
