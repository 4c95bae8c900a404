/** `Tokens` by JSON Web Tokens of trusted issuers. */
import { Clock, Effect, Layer } from "effect"
import { decodeJwt, type JWTVerifyGetKey, jwtVerify } from "jose"
import { type Identity, IssuerUnavailable, TokenRefused, Tokens } from "../../domain/ports/tokens.ts"
import { identityOf } from "./identity.ts"
import { algorithms, keysOf, type TrustedIssuer } from "./trusted-issuer.ts"
import { whyRefused } from "./why-refused.ts"

interface Issuer extends TrustedIssuer {
  readonly getKey: JWTVerifyGetKey
}

interface Verified {
  readonly identity: Identity
  readonly until: number
}

/** A verified token is believed this long without another look: that long may a withdrawn key still count. */
const believedMs = 30_000
const rememberedTokens = 4096
const longestToken = 8192

export const TokensJose = (trusted: ReadonlyArray<TrustedIssuer>): Layer.Layer<Tokens> =>
  Layer.sync(Tokens, () => {
    const issuers = new Map(trusted.map((issuer): [string, Issuer] =>
      [issuer.issuer, { ...issuer, getKey: keysOf(issuer) }]))
    const known = new Map<string, Verified>()

    const remember = (token: string, verified: Verified) => {
      if (known.size >= rememberedTokens) known.delete(known.keys().next().value!)
      known.set(token, verified)
      return verified.identity
    }

    return Tokens.of({
      verify: Effect.fnUntraced(function*(token) {
        const now = yield* Clock.currentTimeMillis
        const before = known.get(token)
        if (before !== undefined && now < before.until) return before.identity
        known.delete(token)
        const issuer = issuers.get(yield* issuerNameOf(token))
        if (issuer === undefined) {
          const message = "the token's issuer is not trusted here"
          return yield* new TokenRefused({ reason: "unknown-issuer", message })
        }
        const identity = yield* verify(issuer, token, now)
        const skew = (issuer.clockSkewSeconds ?? defaultSkewSeconds) * 1000
        return remember(token, { identity, until: Math.min(now + believedMs, identity.expiresAt + skew) })
      })
    })
  })

const defaultSkewSeconds = 30

/** Read before the signature is checked, and good for nothing but picking the keys to check it with. */
const issuerNameOf = (token: string) =>
  Effect.try({
    try: () => token.length > longestToken ? "" : decodeJwt(token).iss ?? "",
    catch: () => new TokenRefused({ reason: "malformed", message: "the token is not a JSON Web Token" })
  })

const verify = (
  issuer: Issuer,
  token: string,
  now: number
): Effect.Effect<Identity, TokenRefused | IssuerUnavailable> =>
  Effect.tryPromise({
    try: () =>
      jwtVerify(token, issuer.getKey, {
        issuer: issuer.issuer,
        audience: typeof issuer.audience === "string" ? issuer.audience : [...issuer.audience],
        // RFC 9864 calls EdDSA with this curve Ed25519; issuers use either name.
        algorithms: (issuer.algorithms ?? algorithms)
          .flatMap((name) => name === "EdDSA" ? ["EdDSA", "Ed25519"] : [name]),
        clockTolerance: issuer.clockSkewSeconds ?? defaultSkewSeconds,
        currentDate: new Date(now),
        requiredClaims: ["exp"]
      }),
    catch: (error) => whyRefused(error, issuer.issuer)
  }).pipe(Effect.flatMap(({ payload }) => Effect.fromResult(identityOf(issuer, payload))))
