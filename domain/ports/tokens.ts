import { Context, type Effect, Schema } from "effect"
import type { PoolScope, TenantId, WorkerId } from "../ids.ts"

export const Role = Schema.Literals(["requester", "operator", "worker"])
export type Role = typeof Role.Type

/** Who a token stands for. `pool` and `worker`: the pools, and the one name in them, that a worker's token is bound to. */
export interface Identity {
  readonly tenantId: TenantId
  readonly role: Role
  readonly subject: string
  readonly pool?: PoolScope
  readonly worker?: WorkerId
  /** Milliseconds since 1970. */
  readonly expiresAt: number
}

/** `message` is for people and never holds the token. */
export class TokenRefused extends Schema.TaggedError<TokenRefused>()("TokenRefused", {
  reason: Schema.Literals(["malformed", "unknown-issuer", "bad-signature", "expired", "not-yet-valid", "wrong-audience", "bad-claims"]),
  message: Schema.String
}) {}

/** The issuer's keys cannot be had right now; the same token may pass later. */
export class IssuerUnavailable extends Schema.TaggedError<IssuerUnavailable>()("IssuerUnavailable", {
  message: Schema.String
}) {}

/** Tells whose request it is by the bearer token it came with. */
export class Tokens extends Context.Service<Tokens, {
  verify(token: string): Effect.Effect<Identity, TokenRefused | IssuerUnavailable>
}>()("domain/ports/Tokens") {}

/** What a new token says; `ttl` in milliseconds. */
export interface TokenRequest {
  readonly tenantId: TenantId
  readonly role: Role
  readonly subject: string
  readonly ttl: number
  readonly pool?: PoolScope | undefined
  readonly worker?: WorkerId | undefined
}

/** The installation's own issuer, for machines without single sign-on. `jwks` is the public half, to be served as it is. */
export class LocalIssuer extends Context.Service<LocalIssuer, {
  readonly jwks: { readonly keys: ReadonlyArray<Readonly<Record<string, unknown>>> }
  sign(request: TokenRequest): Effect.Effect<string>
}>()("domain/ports/LocalIssuer") {}
