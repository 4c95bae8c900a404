/** Rate limits by leases of tokens: most requests are answered without asking anybody. */
import { randomUUID } from "node:crypto"
import { Clock, Deferred, Effect, Exit, Schedule } from "effect"
import type { Bucket, RateLimits, Taken } from "../../domain/ports/rate-limits.ts"
import { fullInMs, lease, type SharedBucket } from "../../domain/token-bucket.ts"

/** Where buckets lie; `revision` as the store counts, nothing for a bucket that is not there. */
export interface Found {
  readonly bucket: SharedBucket | undefined
  readonly revision: number | undefined
}

export interface BucketStore {
  get(key: string): Promise<Found>
  /** The new revision; nothing if somebody else was first. */
  put(key: string, bucket: SharedBucket, revision: number | undefined): Promise<number | undefined>
}

interface Held {
  tokens: number
  until: number
  /** Left in the shared bucket when last seen. */
  shared: number
  emptyUntil: number
  known: Found | undefined
  waiting: Array<Deferred.Deferred<Taken>>
}

/** A lease is left unused a little before it runs out, for the sake of clocks that differ. */
const marginMs = 500
const mostBuckets = 10_000
/** A gateway with much to do may be slow to hear an answer: that alone is no reason to count by itself. */
const answerWithin = "5 seconds"
const askAgainMs = 1000

export const leasing = (store: BucketStore): Effect.Effect<RateLimits["Service"]> => Effect.sync(() => {
  const who = randomUUID()
  const buckets = new Map<string, Held>()
  let isAlone = false

  const heldFor = (key: string): Held => {
    const found = buckets.get(key) ?? { tokens: 0, until: 0, shared: 0, emptyUntil: 0, known: undefined, waiting: [] }
    buckets.delete(key)
    buckets.set(key, found)
    if (buckets.size > mostBuckets) buckets.delete(buckets.keys().next().value!)
    return found
  }

  const admit = (held: Held, { limit }: Bucket): Taken => {
    held.tokens -= 1
    const remaining = Math.max(0, Math.floor(held.shared + held.tokens))
    return { admitted: true, remaining, waitMs: 0, fullInMs: fullInMs(remaining, limit) }
  }

  const refuse = (held: Held, { limit }: Bucket, now: number): Taken =>
    ({ admitted: false, remaining: 0, waitMs: Math.max(1, held.emptyUntil - now), fullInMs: fullInMs(0, limit) })

  const renew = (held: Held, { key, limit }: Bucket) => Effect.gen(function*() {
    for (;;) {
      const { bucket, revision } = held.known ?? (yield* Effect.tryPromise(() => store.get(key)))
      const now = yield* Clock.currentTimeMillis
      const unused = now < held.until ? held.tokens : 0
      const leased = lease(bucket, limit, { who, wanted: held.waiting.length, unused, now })
      const next = yield* Effect.tryPromise(() => store.put(key, leased.bucket, revision))
      held.known = next === undefined ? undefined : { bucket: leased.bucket, revision: next }
      if (next === undefined) continue
      held.tokens = leased.tokens
      held.until = leased.until - marginMs
      held.shared = leased.bucket.tokens
      held.emptyUntil = now + leased.waitMs
      return
    }
  })

  /** As if nobody else were there: better some too many than none at all. */
  const byItself = (held: Held, { limit }: Bucket, now: number) => {
    const { bucket, tokens } = lease(held.known?.bucket && { ...held.known.bucket, leases: {} }, limit, { who, wanted: held.waiting.length, unused: 0, now })
    held.tokens = tokens
    held.until = now + askAgainMs
    held.shared = bucket.tokens
    held.emptyUntil = now + (bucket.tokens >= 1 ? 0 : (1 - bucket.tokens) / limit.perSecond * 1000)
    held.known = { bucket: { ...bucket, leases: {} }, revision: undefined }
  }

  /** Ends when the shared buckets answer again; what was counted here is forgotten then. */
  const comeBack = (key: string) => Effect.tryPromise(() => store.get(key)).pipe(
    Effect.timeout(answerWithin),
    Effect.retry(Schedule.spaced(askAgainMs)),
    Effect.andThen(Effect.sync(() => {
      isAlone = false
      buckets.clear()
    })),
    Effect.andThen(Effect.logInfo("shared rate limits are back"))
  )

  /** One asks for all who wait. */
  const ask = Effect.fnUntraced(function*(held: Held, bucket: Bucket) {
    do {
      const begun = yield* Clock.currentTimeMillis
      const renewed = isAlone ? undefined : yield* Effect.exit(Effect.timeout(renew(held, bucket), answerWithin))
      if (renewed !== undefined && Exit.isFailure(renewed) && !isAlone) {
        isAlone = true
        yield* Effect.logWarning("shared rate limits cannot be reached: this gateway counts by itself", renewed.cause)
        yield* Effect.forkDetach(Effect.delay(comeBack(bucket.key), askAgainMs))
      }
      if (renewed === undefined || Exit.isFailure(renewed)) byItself(held, bucket, begun)
      const now = yield* Clock.currentTimeMillis
      // Those that came in meanwhile may be more than were asked for.
      for (const each of held.waiting.splice(0)) {
        Deferred.doneUnsafe(each, Effect.succeed(held.tokens >= 1 ? admit(held, bucket) : refuse(held, bucket, now)))
      }
    } while (held.waiting.length > 0)
  })

  return {
    take: (bucket) => Effect.flatMap(Clock.currentTimeMillis, (now): Effect.Effect<Taken> => {
      const held = heldFor(bucket.key)
      if (held.waiting.length === 0 && held.tokens >= 1 && now < held.until) return Effect.succeed(admit(held, bucket))
      if (held.waiting.length === 0 && now < held.emptyUntil) return Effect.succeed(refuse(held, bucket, now))
      const answer = Deferred.makeUnsafe<Taken>()
      held.waiting.push(answer)
      return held.waiting.length === 1
        ? Effect.andThen(Effect.forkDetach(ask(held, bucket)), Deferred.await(answer))
        : Deferred.await(answer)
    }),
    giveBack: ({ key }) => Effect.sync(() => {
      const held = buckets.get(key)
      if (held !== undefined) held.tokens += 1
    })
  }
})
