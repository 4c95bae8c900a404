import { Effect, Layer } from "effect"
import { TenantId } from "../../domain/ids.ts"
import type { DeliveryState } from "../../domain/ports/webhook-deliveries.ts"
import type { WebhookId } from "../../domain/webhook-settings.ts"
import { type DeliveryFilter, type DeliveryRow, type ParkedDeliveriesQuery, type ParkedDelivery, WebhookLog } from "../../projections/webhook-log.ts"
import { nobody, type Reading, TenantRows } from "./tenant-rows.ts"

const columns = "id, occurrence, type, subject, at, stream, sequence, state, attempts, planned_at, not_before, attempted_at, took_ms, status, error, excerpt"

export const WebhookLogPostgres = Layer.effect(WebhookLog, Effect.gen(function*() {
  const { read } = yield* TenantRows
  return WebhookLog.of({
    list: (tenantId, webhookId, filter, page) =>
      Effect.map(read(tenantId, (sql) => deliveryPage(sql, webhookId, filter, page)), (rows) => rows.map(toRow)),
    find: (tenantId, webhookId, occurrence) =>
      Effect.map(
        read(tenantId, (sql) => sql<Array<Columns & { body: string }>>`
          select ${sql.unsafe(`${columns}, body`)} from kiln_read.webhook_deliveries where webhook_id = ${webhookId} and occurrence = ${occurrence}`),
        ([row]) => row && { ...toRow(row), body: row.body }),
    failing: (tenantId: TenantId) =>
      Effect.map(
        read(tenantId, (sql) => sql<Array<{ webhook_id: string; since: number }>>`select webhook_id, since from kiln_read.webhook_failing where failures >= 3`),
        (rows) => new Map(rows.map(({ since, webhook_id }) => [webhook_id, since]))),
    parked: (query) => Effect.map(read(nobody, (sql) => parkedPage(sql, query)), (rows) => rows.map(toParked))
  })
}))

interface Columns extends Pick<DeliveryRow, "id" | "occurrence" | "type" | "subject" | "at" | "stream" | "sequence" | "attempts" | "status" | "error" | "excerpt"> {
  readonly state: DeliveryState
  readonly planned_at: number
  readonly not_before: number
  readonly attempted_at: number | null
  readonly took_ms: number | null
}

/** `explain` goes before the query, for tests. */
export const deliveryPage = (
  sql: Reading, webhookId: string, { since, state, until }: DeliveryFilter, { before, limit }: { readonly limit: number; readonly before?: number | undefined }, explain = ""
) => sql<Array<Columns>>`
  ${sql.unsafe(`${explain} select ${columns} from kiln_read.webhook_deliveries`)} where webhook_id = ${webhookId}
  ${state === undefined ? sql`` : sql`and state = ${state}`}
  ${since === undefined ? sql`` : sql`and at >= ${since}`} ${until === undefined ? sql`` : sql`and at < ${until}`}
  ${before === undefined ? sql`` : sql`and id < ${before}`} order by id desc limit ${limit}`

interface ParkedColumns extends Pick<ParkedDelivery, "id" | "occurrence" | "type" | "subject" | "attempts" | "status" | "error"> {
  readonly tenant_id: TenantId
  readonly webhook_id: WebhookId
  readonly at: number
}

/** `explain` goes before the query, for tests. */
export const parkedPage = (sql: Reading, { before, id, limit, tenantId }: ParkedDeliveriesQuery, explain = "") => sql<Array<ParkedColumns>>`
  ${sql.unsafe(`${explain} select id, tenant_id, webhook_id, occurrence, type, subject, attempts, status, error, coalesce(attempted_at, planned_at) as at`)}
  from kiln_read.all_parked_deliveries where true ${tenantId === undefined ? sql`` : sql`and tenant_id = ${tenantId}`}
  ${id === undefined ? sql`` : sql`and id = ${id}`} ${before === undefined ? sql`` : sql`and id < ${before}`} order by id desc limit ${limit}`

const toParked = ({ tenant_id: tenantId, webhook_id: webhookId, ...row }: ParkedColumns): ParkedDelivery => ({ ...row, tenantId, webhookId })

const toRow = ({ attempted_at, not_before, planned_at, took_ms, ...row }: Columns): DeliveryRow =>
  ({ ...row, plannedAt: planned_at, notBefore: not_before, attemptedAt: attempted_at, tookMs: took_ms })
