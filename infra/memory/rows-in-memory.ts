import { Effect, Layer, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { AggregateKind } from "../../domain/recorded.ts"
import type { TenantId } from "../../domain/ids.ts"
import { jobAttempts } from "../../projections/job-attempts.ts"
import type { Projection } from "../../projections/projection.ts"
import { type Listing, type RowFilter, type RowPage, Rows } from "../../projections/rows.ts"
import { hasWanted } from "../../projections/terms.ts"
import { keyOfUsage, nothingUsed, type UsageSum, withAttempt } from "../../projections/usage.ts"
import { rowsInMemory } from "./rows.ts"

export const RowsInMemory = Layer.effect(Rows, Effect.gen(function*() {
  const log = yield* EventLog
  const rows = yield* rowsInMemory

  const tenantsInLog = Effect.gen(function*() {
    const found = new Set<TenantId>()
    for (const stream of log.streams) {
      const entries = yield* log.follow(stream, 0).pipe(Stream.take(yield* log.head(stream)), Stream.runCollect)
      for (const entry of entries) if (entry._tag === "Recorded") found.add(entry.tenantId)
    }
    return [...found].toSorted()
  }).pipe(Effect.orDie)

  return Rows.of({
    list: Effect.fnUntraced(function*<Row extends object, Kind extends AggregateKind>(
      tenantId: TenantId, { order, projection }: Listing<Row, Kind>, filter: RowFilter<Row>, { before, limit }: RowPage
    ) {
      const values = (row: Row) => order.map((field) => row[field] as string | number)
      return (yield* rows(projection, tenantId))
        .filter((row) => passes(row, values(row)[0] as number | null, filter) && (before === undefined || compare(values(row), before) < 0))
        .toSorted((one, other) => compare(values(other), values(one))).slice(0, limit)
    }),
    count: Effect.fnUntraced(function*<Row extends object, Kind extends AggregateKind>(
      tenantId: TenantId, projection: Projection<Row, Kind>, equal: NonNullable<RowFilter<Row>["equal"]>, upTo: number
    ) {
      return Math.min(upTo, (yield* rows(projection, tenantId)).filter((row) => passes(row, 0, { equal })).length)
    }),
    tenants: Effect.fnUntraced(function*<Row extends object, Kind extends AggregateKind>(
      projection: Projection<Row, Kind>, { after = "", limit }: { readonly limit: number; readonly after?: string | undefined }
    ) {
      const all = yield* Effect.forEach((yield* tenantsInLog).filter((tenantId) => tenantId > after), (tenantId) => rows(projection, tenantId))
      return all.flat().slice(0, limit)
    }),
    usage: Effect.fnUntraced(function*(tenantId, { before, by, limit, since = 0, until = Infinity }) {
      const sums = new Map<string, UsageSum>()
      for (const row of yield* rows(jobAttempts, tenantId)) {
        if (row.endedAt === null || row.endedAt < since || row.endedAt >= until) continue
        const key = keyOfUsage(by, row)
        if (before === undefined || key < before) sums.set(key, withAttempt(sums.get(key) ?? nothingUsed(key), row))
      }
      return [...sums.values()].toSorted((one, other) => one.key < other.key ? 1 : -1).slice(0, limit)
    }),
    usageOfTenants: Effect.fnUntraced(function*({ before = "", limit, since = 0, until = Infinity }) {
      const all = yield* Effect.forEach((yield* tenantsInLog).filter((tenantId) => tenantId > before), (tenantId) => rows(jobAttempts, tenantId))
      const ended = all.map((attempts) => attempts.filter(({ endedAt }) => endedAt !== null && endedAt >= since && endedAt < until))
      return ended.flatMap(([first, ...others]) =>
        first === undefined ? [] : [[first, ...others].reduce(withAttempt, nothingUsed(first.tenantId))]).slice(0, limit)
    })
  })
}))

const passes = <Row extends object>(row: Row, time: number | null, { equal = {}, since = 0, until = Infinity, wanted }: RowFilter<Row>): boolean =>
  time !== null && time >= since && time < until &&
  Object.entries(equal).every(([field, value]) => value === undefined || row[field as keyof Row] === value) &&
  (wanted === undefined || hasWanted((row as { readonly terms: ReadonlyArray<string> }).terms, wanted))

const compare = (one: ReadonlyArray<string | number>, other: ReadonlyArray<string | number>): number => {
  for (const [at, value] of one.entries()) if (value !== other[at]) return value < other[at]! ? -1 : 1
  return 0
}
