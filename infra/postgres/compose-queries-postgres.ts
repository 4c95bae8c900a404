import { Effect, Layer } from "effect"
import { composeHistory, type ComposeRow } from "../../projections/compose-history.ts"
import { ComposeQueries, QueriesUnavailable } from "../../projections/compose-queries.ts"
import type { Projection } from "../../projections/projection.ts"
import { fromColumns } from "./projection-tables.ts"
import { Sql } from "./sql.ts"

const projection = composeHistory as unknown as Projection

export const ComposeQueriesPostgres = Layer.effect(ComposeQueries, Effect.gen(function*() {
  const { run } = yield* Sql
  return ComposeQueries.of({
    list: Effect.fn("ComposeQueries.list")(function*(tenantId, { status, distribution, since, until, search }, { limit, before }) {
      const rows = yield* run((sql) => {
        const words = (search ?? "").toLowerCase().split(/\s+/).filter((word) => word !== "")
        return sql<Array<Record<string, unknown>>>`
          select * from kiln.composes where tenant_id = ${tenantId}
          ${status === undefined ? sql`` : sql`and status = ${status}`}
          ${distribution === undefined ? sql`` : sql`and distribution = ${distribution}`}
          ${since === undefined ? sql`` : sql`and requested_at >= ${since}`}
          ${until === undefined ? sql`` : sql`and requested_at < ${until}`}
          ${words.length === 0 ? sql`` : words.map((word) => sql`and position(${word} in search_text) > 0`)}
          ${before === undefined ? sql`` : sql`and (requested_at, compose_id) < (${before.requestedAt}, ${before.composeId})`}
          order by requested_at desc, compose_id desc limit ${limit}`
      }).pipe(Effect.mapError(({ code, message }) =>
        new QueriesUnavailable({ message: code === "42P01" ? "the read model has not been built yet" : `Postgres: ${message}` })))
      return rows.map((columns) => fromColumns<ComposeRow>(projection, columns))
    })
  })
}))
