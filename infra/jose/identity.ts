/** From verified claims to an identity. */
import { Result, Schema } from "effect"
import type { JWTPayload } from "jose"
import { PoolScope, TenantId, WorkerId } from "../../domain/ids.ts"
import { type Identity, Role, TokenRefused } from "../../domain/ports/tokens.ts"
import type { ClaimName, TrustedIssuer } from "./trusted-issuer.ts"

/** It is written into the log and shown to people. */
// oxlint-disable-next-line no-control-regex
const Subject = Schema.String.check(Schema.isPattern(/^[^\u0000-\u001f\u007f]{1,200}$/u))

const isTenant = Schema.is(TenantId)
const isRole = Schema.is(Role)
const isPool = Schema.is(PoolScope)
const isWorker = Schema.is(WorkerId)
const isSubject = Schema.is(Subject)

export const identityOf = (issuer: TrustedIssuer, payload: JWTPayload): Result.Result<Identity, TokenRefused> => {
  const { claims, defaultRole } = issuer
  const tenantId = claimOf(payload, claims?.tenant ?? "tenant")
  const role = claimOf(payload, claims?.role ?? "role") ?? defaultRole
  const pool = claimOf(payload, claims?.pool ?? "pool")
  const worker = claimOf(payload, claims?.worker ?? "worker")
  if (!isTenant(tenantId)) return refuse("the token names no tenant, or not by lower-case letters, digits and hyphens")
  if (!isRole(role)) return refuse(`the token's role is none of ${Role.literals.join(", ")}`)
  if (pool !== undefined && !isPool(pool)) return refuse("the token's pool is no pool's name, nor several joined by _")
  if (worker !== undefined && !isWorker(worker)) return refuse("the token's worker is not a worker's name")
  if (!isSubject(payload.sub)) return refuse("the token has no usable subject")
  return Result.succeed({
    tenantId, role, subject: payload.sub, expiresAt: payload.exp! * 1000,
    ...(pool !== undefined && { pool }), ...(worker !== undefined && { worker })
  })
}

const claimOf = (payload: JWTPayload, name: ClaimName): unknown =>
  (typeof name === "string" ? [name] : name).reduce<unknown>(
    (value, key) => typeof value === "object" && value !== null && Object.hasOwn(value, key)
      ? (value as Record<string, unknown>)[key]
      : undefined,
    payload
  )

const refuse = (message: string) => Result.fail(new TokenRefused({ reason: "bad-claims", message }))
