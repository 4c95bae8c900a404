import { Effect, Layer } from "effect"
import type { TenantId } from "../../domain/ids.ts"
import type { DeliveryState } from "../../domain/ports/webhook-deliveries.ts"
import { type DeliveryFilter, type DeliveryRow, WebhookLog } from "../../projections/webhook-log.ts"
import { type Reading, TenantRows } from "./tenant-rows.ts"

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
        (rows) => new Map(rows.map(({ since, webhook_id }) => [webhook_id, since])))
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

const toRow = ({ attempted_at, not_before, planned_at, took_ms, ...row }: Columns): DeliveryRow =>
  ({ ...row, plannedAt: planned_at, notBefore: not_before, attemptedAt: attempted_at, tookMs: took_ms })
