/** Whose tokens count, and where in them the answers are. */
import { createLocalJWKSet, createRemoteJWKSet, type JSONWebKeySet, type JWTVerifyGetKey } from "jose"
import type { Role } from "../../domain/ports/tokens.ts"

/** A claim's name, or the way to it through nested objects. */
export type ClaimName = string | ReadonlyArray<string>

export interface TrustedIssuer {
  /** Must equal `iss`. */
  readonly issuer: string
  /** One of these must be in `aud`. */
  readonly audience: string | ReadonlyArray<string>
  /** Where its keys are, or the keys themselves. */
  readonly keys: { readonly url: string } | { readonly jwks: JSONWebKeySet }
  readonly algorithms?: ReadonlyArray<Algorithm>
  /** How far its clock may be off. */
  readonly clockSkewSeconds?: number
  readonly claims?: { readonly tenant?: ClaimName; readonly role?: ClaimName; readonly pool?: ClaimName; readonly worker?: ClaimName }
  /** For issuers whose tokens name no role. */
  readonly defaultRole?: Role
}

/** Asymmetric all of them: a secret shared with an issuer would let us make its tokens. */
export const algorithms = ["EdDSA", "ES256", "RS256"] as const
export type Algorithm = (typeof algorithms)[number]

/** Fetched when needed, kept ten minutes, and for an unknown key id asked for again at most every 30 seconds. */
export const keysOf = ({ keys }: TrustedIssuer): JWTVerifyGetKey =>
  "jwks" in keys
    ? createLocalJWKSet(keys.jwks)
    : createRemoteJWKSet(new URL(keys.url), { cacheMaxAge: 600_000, cooldownDuration: 30_000, timeoutDuration: 5000 })
