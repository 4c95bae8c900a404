/** Lists without a database: the whole log folded for every question. */
import { Effect, Layer, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type ComposeRow, composeHistory } from "../../projections/compose-history.ts"
import {
  type ComposeFilter, ComposeQueries, type PageRequest, QueriesUnavailable
} from "../../projections/compose-queries.ts"
import { project } from "../../projections/projection.ts"

export const ComposeQueriesInMemory = Layer.effect(ComposeQueries, Effect.gen(function*() {
  const log = yield* EventLog

  const rows = Effect.gen(function*() {
    const found: Array<ComposeRow> = []
    for (const stream of log.streams) {
      const entries = yield* log.follow(stream, 0).pipe(Stream.take(yield* log.head(stream)), Stream.runCollect)
      found.push(...project(composeHistory, entries.filter((entry) => entry._tag === "Recorded" && entry.aggregate === "compose")).values())
    }
    return found
  })

  return ComposeQueries.of({
    list: Effect.fnUntraced(
      function*(tenantId, filter, page) {
        const mine = (yield* rows).filter((row) =>
          row.tenantId === tenantId && passes(row, filter) && comesAfter(row, page.before))
        return mine.sort(newestFirst).slice(0, page.limit)
      },
      Effect.mapError(({ message }) => new QueriesUnavailable({ message }))
    )
  })
}))

const passes = (row: ComposeRow, { status, distribution, since, until, search }: ComposeFilter): boolean =>
  (status === undefined || row.status === status) &&
  (distribution === undefined || row.distribution === distribution) &&
  (since === undefined || row.requestedAt >= since) &&
  (until === undefined || row.requestedAt < until) &&
  (search ?? "").toLowerCase().split(/\s+/).every((word) => row.searchText.includes(word))

const newestFirst = (a: ComposeRow, b: ComposeRow): number =>
  b.requestedAt - a.requestedAt || (a.composeId < b.composeId ? 1 : -1)

const comesAfter = (row: ComposeRow, before: PageRequest["before"]): boolean =>
  before === undefined || row.requestedAt < before.requestedAt ||
  (row.requestedAt === before.requestedAt && row.composeId < before.composeId)
