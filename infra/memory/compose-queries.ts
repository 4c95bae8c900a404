/** Lists without a database: the whole log folded for every question. */
import { Effect, Layer } from "effect"
import { type ComposeRow, composeHistory } from "../../projections/compose-history.ts"
import { type ComposeFilter, ComposeQueries, type PageRequest, wantedOf } from "../../projections/compose-queries.ts"
import { hasWanted } from "../../projections/terms.ts"
import { rowsInMemory } from "./rows.ts"

export const ComposeQueriesInMemory = Layer.effect(ComposeQueries, Effect.gen(function*() {
  const rows = yield* rowsInMemory
  return ComposeQueries.of({
    list: Effect.fnUntraced(function*(tenantId, filter, page) {
      const wanted = wantedOf(tenantId, filter)
      const mine = (yield* rows(composeHistory, tenantId)).filter((row) =>
        passes(row, filter) && hasWanted(row.terms, wanted) && comesAfter(row, page.before))
      return mine.sort(newestFirst).slice(0, page.limit)
    })
  })
}))

const passes = (row: ComposeRow, { status, distribution, requestedBy, since, until }: ComposeFilter): boolean =>
  (status === undefined || row.status === status) &&
  (distribution === undefined || row.distribution === distribution) &&
  (requestedBy === undefined || row.requestedBy === requestedBy) &&
  (since === undefined || row.requestedAt >= since) &&
  (until === undefined || row.requestedAt < until)

const newestFirst = (a: ComposeRow, b: ComposeRow): number =>
  b.requestedAt - a.requestedAt || (a.composeId < b.composeId ? 1 : -1)

const comesAfter = (row: ComposeRow, before: PageRequest["before"]): boolean =>
  before === undefined || row.requestedAt < before.requestedAt ||
  (row.requestedAt === before.requestedAt && row.composeId < before.composeId)
