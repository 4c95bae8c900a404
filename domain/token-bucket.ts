/**
 * A token bucket that several processes share: each leases some tokens, spends them by itself and says later how many are left.
 * What is in the bucket and what is leased are never more than the burst, so in no time more is spent than burst and refill allow.
 */
import { Schema } from "effect"
import type { RateLimit } from "./policy.ts"

const Lease = Schema.Struct({ tokens: Schema.Number, until: Schema.Number })

export const SharedBucket = Schema.Struct({
  tokens: Schema.Number,
  /** Refilled up to here, in milliseconds. */
  at: Schema.Number,
  leases: Schema.Record(Schema.String, Lease)
})
export type SharedBucket = typeof SharedBucket.Type

export interface LeaseRequest {
  readonly who: string
  /** Requests that wait for a token. */
  readonly wanted: number
  /** Tokens of the last lease that are still there. */
  readonly unused: number
  readonly now: number
}

export interface Leased {
  readonly bucket: SharedBucket
  /** What there is to spend now: for those who wait, and the rest until `until`. */
  readonly tokens: number
  readonly until: number
  /** Until there is one for who got none. */
  readonly waitMs: number
}

/** Whoever leased and was never heard of again has spent all by then. */
export const leaseMs = 2000

export const lease = (before: SharedBucket | undefined, limit: RateLimit, { now, unused, wanted, who }: LeaseRequest): Leased => {
  const { at, leases: { [who]: own, ...others }, tokens } = refilled(before ?? { tokens: limit.burst, at: now, leases: {} }, limit, now)
  const kept = Math.min(unused, own?.tokens ?? 0)
  const granted = Math.min(Math.floor(tokens), Math.max(wanted, share(tokens, limit)))
  const until = now + leaseMs
  const held = kept + granted
  // Who waits spends at once; only the rest is still to be reckoned with.
  const left = Math.max(0, held - wanted)
  const bucket = { tokens: tokens - granted, at, leases: left > 0 ? { ...others, [who]: { tokens: left, until } } : others }
  return { bucket, tokens: held, until, waitMs: waitFor({ ...bucket, leases: others }, limit, now) }
}

/** Less, the emptier it is, so that no process sits on what others need. */
const share = (tokens: number, { perSecond }: RateLimit): number => Math.min(Math.floor(tokens / 4), Math.ceil(perSecond))

/** Tokens that are leased leave no room for new ones, until the lease has run out. */
const refilled = (bucket: SharedBucket, { burst, perSecond }: RateLimit, now: number): SharedBucket => {
  let { at, tokens } = bucket
  let leased = Object.values(bucket.leases).reduce((total, each) => total + each.tokens, 0)
  const refill = (to: number) => {
    tokens = Math.max(0, Math.min(burst - leased, tokens + Math.max(0, to - at) / 1000 * perSecond))
    at = Math.max(at, to)
  }
  const over = Object.entries(bucket.leases).filter(([, { until }]) => until <= now).toSorted(([, a], [, b]) => a.until - b.until)
  for (const [, { tokens: gone, until }] of over) {
    refill(until)
    leased -= gone
  }
  refill(now)
  return { tokens, at, leases: Object.fromEntries(Object.entries(bucket.leases).filter(([, { until }]) => until > now)) }
}

const waitFor = ({ leases, tokens }: SharedBucket, { burst, perSecond }: RateLimit, now: number): number => {
  if (tokens >= 1) return 0
  const all = Object.values(leases)
  const room = burst - all.reduce((total, each) => total + each.tokens, 0)
  return room >= 1 ? Math.ceil((1 - tokens) / perSecond * 1000) : Math.min(...all.map(({ until }) => until)) - now + Math.ceil(1000 / perSecond)
}

/** How long until as much is there as can be. */
export const fullInMs = (tokens: number, { burst, perSecond }: RateLimit): number => Math.max(0, burst - tokens) / perSecond * 1000
