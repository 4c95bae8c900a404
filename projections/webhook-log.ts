/** What was delivered to webhooks and what came of it. No read model: it is written by those who deliver. */
import { Context, type Effect } from "effect"
import type { TenantId } from "../domain/ids.ts"
import type { DeliveryState } from "../domain/ports/webhook-deliveries.ts"
import type { WebhookId } from "../domain/webhook-settings.ts"
import type { QueriesUnavailable } from "./compose-queries.ts"

export interface DeliveryRow {
  readonly id: number
  readonly occurrence: string
  readonly type: string
  readonly subject: string
  readonly at: number
  readonly stream: string
  readonly sequence: number
  readonly state: DeliveryState
  readonly attempts: number
  readonly plannedAt: number
  readonly notBefore: number
  readonly attemptedAt: number | null
  readonly tookMs: number | null
  readonly status: number | null
  readonly error: string | null
  readonly excerpt: string | null
}

/** One that was given up. Tried again and given up again, it has another id. */
export interface ParkedDelivery extends Pick<DeliveryRow, "id" | "occurrence" | "type" | "subject" | "attempts" | "status" | "error"> {
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  readonly at: number
}

/** The latest first; `before`: the last id of the page before. */
export interface ParkedDeliveriesQuery {
  readonly tenantId?: TenantId | undefined
  readonly id?: number | undefined
  readonly before?: number | undefined
  readonly limit: number
}

export interface DeliveryFilter {
  readonly state?: DeliveryState | undefined
  readonly since?: number | undefined
  readonly until?: number | undefined
}

export class WebhookLog extends Context.Service<WebhookLog, {
  /** The latest first; `before`: the last id of the page before. */
  list(tenantId: TenantId, webhookId: WebhookId, filter: DeliveryFilter, page: { readonly limit: number; readonly before?: number | undefined }):
    Effect.Effect<ReadonlyArray<DeliveryRow>, QueriesUnavailable>
  /** With what is sent. */
  find(tenantId: TenantId, webhookId: WebhookId, occurrence: string): Effect.Effect<DeliveryRow & { readonly body: string } | undefined, QueriesUnavailable>
  /** Webhooks to which nothing arrives, and since when. */
  failing(tenantId: TenantId): Effect.Effect<ReadonlyMap<string, number>, QueriesUnavailable>
  /** Of all tenants, for operators of the installation. */
  parked(query: ParkedDeliveriesQuery): Effect.Effect<ReadonlyArray<ParkedDelivery>, QueriesUnavailable>
}>()("projections/WebhookLog") {}
