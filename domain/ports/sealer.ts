import { Context, type Effect, Schema } from "effect"
import type { TenantId } from "../ids.ts"
import type { Sealed } from "../sealed.ts"

/** The tenant's key is gone or is another one: what it sealed is erased for good. */
export class SealLost extends Schema.TaggedError<SealLost>()("SealLost", { tenantId: Schema.String, keyId: Schema.String }) {}

/** Keeps secrets out of the log: only who has a tenant's key can open what was sealed for it. */
export class Sealer extends Context.Service<Sealer, {
  seal(tenantId: TenantId, plaintext: string): Effect.Effect<Sealed>
  open(tenantId: TenantId, sealed: Sealed): Effect.Effect<string, SealLost>
}>()("domain/ports/Sealer") {}
