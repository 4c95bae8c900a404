import { existsSync } from "node:fs"
import { userInfo } from "node:os"
import { join } from "node:path"
import { Clock, Effect, Option, Schema } from "effect"
import { PoolScope, TenantId, WorkerId } from "../../../domain/ids.ts"
import { LocalIssuer, type Role } from "../../../domain/ports/tokens.ts"
import { Adapters } from "../adapters.ts"
import { commandFailed } from "../command-failed.ts"
import { homeFolder } from "../endpoint.ts"
import { durationMillis } from "../moments.ts"
import { answer } from "../output.ts"

export interface TokenInput {
  readonly tenant: string
  readonly role: Role
  readonly ttl: string
  readonly pool: Option.Option<string>
  readonly worker: Option.Option<string>
}

/** Signs with the key of this machine's Kiln, whether it runs or not. */
export const token = Effect.fn("token")(function*({ pool, role, tenant, ttl, worker }: TokenInput) {
  const keys = process.env["KILN_KEYS"] ?? join(homeFolder(), "keys")
  if (!existsSync(keys)) {
    return yield* commandFailed("unreachable", `There is no issuer here (no folder ${keys}): run npm start once, or set KILN_KEYS`)
  }
  const millis = durationMillis(ttl)
  if (millis === undefined || millis === 0) return yield* commandFailed("invalid", `--ttl ${ttl} is no time span: say 90s, 15m, 1h or 30d`)
  if ((Option.isSome(pool) || Option.isSome(worker)) && role !== "worker") {
    return yield* commandFailed("invalid", "--pool and --worker are for --role worker only")
  }
  const request = {
    tenantId: yield* named(TenantId, "--tenant", tenant),
    pool: Option.isSome(pool) ? yield* named(PoolScope, "--pool", pool.value) : undefined,
    worker: Option.isSome(worker) ? yield* named(WorkerId, "--worker", worker.value) : undefined,
    role,
    ttl: millis,
    subject: whoami()
  }
  const { localIssuer } = yield* Adapters
  const signed = yield* Effect.provide(Effect.flatMap(LocalIssuer, (issuer) => issuer.sign(request)), localIssuer(keys))
  const expires_at = new Date((yield* Clock.currentTimeMillis) + millis).toISOString()
  const document = { token: signed, tenant, role, expires_at, ...(Option.isSome(pool) ? { pool: pool.value } : {}), ...(Option.isSome(worker) ? { worker: worker.value } : {}) }
  yield* answer(document, () => [signed])
})

const named = <A extends string>(schema: Schema.Codec<A, string>, flag: string, text: string) =>
  Schema.decodeEffect(schema)(text).pipe(
    Effect.mapError(() => commandFailed("invalid", `${flag} ${text} is no name: lower-case letters, digits and hyphens only`))
  )

/** A user id without an account has no name. */
const whoami = () => {
  try {
    return `${userInfo().username}@localhost`
  } catch {
    return `${process.getuid?.() ?? "somebody"}@localhost`
  }
}
