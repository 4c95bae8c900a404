import { Context, type Effect } from "effect"
import type { ComposeId, Digest, TenantId } from "../ids.ts"
import type { LogUnavailable } from "./event-log.ts"

/** What an idempotency key stands for: one request, known by its digest, and the compose that it became. */
export interface Claimed {
  readonly composeId: ComposeId
  readonly request: Digest
}

export class Idempotency extends Context.Service<Idempotency, {
  /** The first to claim a key within 24 hours wins; everybody after it is told what the first one claimed. */
  claim(tenantId: TenantId, key: string, wanted: Claimed): Effect.Effect<Claimed, LogUnavailable>
}>()("domain/ports/Idempotency") {}
