/** Rate limits of a caller: its tenant's, and its own. */
import { createHash } from "node:crypto"
import { Context, Effect, Layer } from "effect"
import type { HttpServerResponse } from "effect/http"
import type { Account } from "../../domain/account.ts"
import { type Policy, policyOf, type RateLimit } from "../../domain/policy.ts"
import { type Bucket, RateLimits, type Taken } from "../../domain/ports/rate-limits.ts"
import { StandingPolicies } from "../../domain/ports/standing-policies.ts"
import type { Identity } from "../../domain/ports/tokens.ts"
import { Accounts } from "../accounts.ts"
import { TooManyRequests } from "./api/problems.ts"
import { comeAgain } from "./refusals.ts"

interface Limit {
  readonly name: "tenant" | "token"
  readonly bucket: Bucket
}

/** Headers for the answer; `refusal` is the answer itself. */
export interface Passed {
  readonly headers: Readonly<Record<string, string>>
  readonly refusal?: HttpServerResponse.HttpServerResponse
}

export class RequestLimits extends Context.Service<RequestLimits, {
  /** Nothing for whom no policy limits, which costs nothing. */
  pass(identity: Identity): Effect.Effect<Passed> | undefined
}>()("gateway/RequestLimits") {}

export const RequestLimitsLive = Layer.effect(RequestLimits, Effect.gen(function*() {
  const accounts = yield* Accounts
  const file = yield* StandingPolicies
  const rateLimits = yield* RateLimits

  const take = Effect.fnUntraced(function*(limits: ReadonlyArray<Limit>) {
    const taken: Array<readonly [Limit, Taken]> = []
    for (const limit of limits) {
      const one = yield* rateLimits.take(limit.bucket)
      taken.push([limit, one])
      if (one.admitted) continue
      // What refuses in the end should not have been paid for before.
      yield* Effect.forEach(taken.slice(0, -1), ([paid]) => rateLimits.giveBack(paid.bucket), { discard: true })
      const response = yield* refusalOf(limit, one)
      return { headers: headersOf(taken), refusal: response } satisfies Passed
    }
    return { headers: headersOf(taken) } satisfies Passed
  })

  const passed = (identity: Identity, account: Account) => {
    const limits = limitsOf(identity, policyOf(file, identity.tenantId, account.override))
    return limits.length === 0 ? undefined : take(limits)
  }

  return RequestLimits.of({
    pass: (identity) => {
      const known = accounts.peek(identity.tenantId)
      if (known !== undefined) return passed(identity, known)
      return accounts.recent(identity.tenantId).pipe(
        // Without a word from the log nobody is refused here; what matters asks it again.
        Effect.orElseSucceed((): Account | undefined => undefined),
        Effect.flatMap((account) => (account && passed(identity, account)) ?? Effect.succeed({ headers: {} }))
      )
    }
  })
}))

const limitsOf = ({ subject, tenantId }: Identity, { tenantRate, tokenRate }: Policy): ReadonlyArray<Limit> => [
  ...(tenantRate === undefined ? [] : [{ name: "tenant" as const, bucket: { key: `tenant.${tenantId}`, limit: tenantRate } }]),
  ...(tokenRate === undefined ? [] : [{ name: "token" as const, bucket: { key: `token.${tenantId}.${digestOf(subject)}`, limit: tokenRate } }])
]

/** Tokens of one subject share a bucket: a new token is soon had. */
const digestOf = (subject: string): string => createHash("sha256").update(subject).digest("hex").slice(0, 32)

const refusalOf = ({ name }: Limit, { waitMs }: Taken) => {
  const detail = `the ${name} asks too often, the next request may come in ${Math.ceil(waitMs / 1000)} s`
  return comeAgain(new TooManyRequests({ detail, limit: name, resets_at: new Date(Date.now() + waitMs).toISOString() }), waitMs)
}

const seconds = (millis: number) => Math.max(0, Math.ceil(millis / 1000))
const windowOf = ({ burst, perSecond }: RateLimit) => Math.max(1, Math.ceil(burst / perSecond))

/** As of draft-ietf-httpapi-ratelimit-headers: so much is left, so long until all of it is there again. */
const headersOf = (taken: ReadonlyArray<readonly [Limit, Taken]>) => ({
  "ratelimit-policy": taken.map(([{ bucket: { limit }, name }]) => `"${name}";q=${limit.burst};w=${windowOf(limit)}`).join(", "),
  ratelimit: taken.map(([{ name }, { fullInMs, remaining }]) => `"${name}";r=${remaining};t=${seconds(fullInMs)}`).join(", ")
})
