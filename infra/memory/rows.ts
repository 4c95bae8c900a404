/** Rows without a database, for tests: the whole log folded for every question. */
import { Effect, Stream } from "effect"
import type { TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { AggregateKind, Recorded } from "../../domain/recorded.ts"
import { QueriesUnavailable } from "../../projections/compose-queries.ts"
import { type Projection, project } from "../../projections/projection.ts"

export const rowsInMemory = Effect.gen(function*() {
  const log = yield* EventLog
  return Effect.fnUntraced(
    function*<Row extends object, Kind extends AggregateKind>(projection: Projection<Row, Kind>, tenantId: TenantId) {
      const found: Array<Row> = []
      for (const stream of log.streams) {
        const entries = yield* log.follow(stream, 0).pipe(Stream.take(yield* log.head(stream)), Stream.runCollect)
        const own = entries.filter((entry): entry is Recorded => entry._tag === "Recorded" && entry.tenantId === tenantId)
        found.push(...project(projection, own).values())
      }
      return found
    },
    Effect.mapError(({ message }) => new QueriesUnavailable({ message }))
  )
})
