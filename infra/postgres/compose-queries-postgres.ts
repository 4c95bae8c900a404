import { Effect, Layer } from "effect"
import { composeHistory } from "../../projections/compose-history.ts"
import { ComposeQueries, type ComposeFilter, type ListedCompose, type PageRequest, wantedOf } from "../../projections/compose-queries.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { Projection } from "../../projections/projection.ts"
import { fromColumns } from "./projection-tables.ts"
import { selectList, viewOf } from "./reading.ts"
import { type Reading, TenantRows, tsquery } from "./tenant-rows.ts"

const projection = composeHistory as unknown as Projection
const unlisted = ["request", "terms"]

export const ComposeQueriesPostgres = Layer.effect(ComposeQueries, Effect.gen(function*() {
  const { read } = yield* TenantRows
  return ComposeQueries.of({
    list: Effect.fn("ComposeQueries.list")(function*(tenantId, filter, page) {
      const rows = yield* read(tenantId, (sql) => composePage(sql, tenantId, filter, page))
      return rows.map((columns) => fromColumns<ListedCompose>(projection, columns))
    })
  })
}))

export const composePage = (sql: Reading, tenantId: TenantId, filter: ComposeFilter, { before, limit }: PageRequest, explain = "") => {
  const { distribution, requestedBy, since, status, until } = filter
  const words = tsquery(wantedOf(tenantId, filter))
  return sql<Array<Record<string, unknown>>>`
    ${sql.unsafe(`${explain} select ${selectList(projection, unlisted)} from ${viewOf(projection)}`)} where true
    ${status === undefined ? sql`` : sql`and status = ${status}`}
    ${distribution === undefined ? sql`` : sql`and distribution = ${distribution}`}
    ${requestedBy === undefined ? sql`` : sql`and requested_by = ${requestedBy}`}
    ${words === undefined ? sql`` : sql`and array_to_tsvector(terms) @@ ${words}::text::tsquery`}
    ${since === undefined ? sql`` : sql`and requested_at >= ${since}`}
    ${until === undefined ? sql`` : sql`and requested_at < ${until}`}
    ${before === undefined ? sql`` : sql`and (requested_at, compose_id) < (${before.requestedAt}, ${before.composeId})`}
    order by requested_at desc, compose_id desc limit ${limit}`
}
