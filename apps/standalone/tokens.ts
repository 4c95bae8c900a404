/** Tokens of this home's own issuer. */
import { join } from "node:path"
import { Effect, Layer, Schedule } from "effect"
import { PoolScope, TenantId, WorkerId } from "../../domain/ids.ts"
import { LocalIssuer, type Role } from "../../domain/ports/tokens.ts"
import { LocalIssuerFiles } from "../../infra/jose/local-issuer.ts"
import { writePrivate } from "../../infra/process/server-folder.ts"

const hour = 3_600_000
export const day = 24 * hour

export type Sign = (tenant: string, role: Role, options?: { readonly ttl?: number; readonly pool?: string; readonly worker?: string }) => Effect.Effect<string>

export const signer = Effect.fnUntraced(function*(keys: string) {
  const context = yield* Layer.build(LocalIssuerFiles(keys))
  const sign: Sign = (tenant, role, { pool, ttl = day, worker } = {}) =>
    Effect.flatMap(LocalIssuer, (issuer) => issuer.sign({
      tenantId: TenantId.make(tenant), role, ttl, subject: `${role}@localhost`,
      ...(pool === undefined ? {} : { pool: PoolScope.make(pool) }),
      ...(worker === undefined ? {} : { worker: WorkerId.make(worker) })
    })).pipe(Effect.provideContext(context))
  return sign
})

export const pool = "default"

export const workerTokenFile = (home: string, worker = "of-the-pool") => join(home, "run", `worker-token-${worker}`)

/** Writes a worker's own token, or one for all of the pool, and renews it long before it ends; workers read it whenever they connect. */
export const keepWorkerToken = Effect.fnUntraced(function*(home: string, sign: Sign, worker?: string) {
  const write = Effect.map(sign("default", "worker", { pool, ...(worker !== undefined && { worker }) }), (token) => writePrivate(workerTokenFile(home, worker), token))
  yield* write
  yield* Effect.forkScoped(Effect.repeat(Effect.andThen(Effect.sleep("1 hour"), write), Schedule.forever))
})
