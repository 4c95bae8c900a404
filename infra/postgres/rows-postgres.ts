import { Effect, Layer } from "effect"
import type { TenantId } from "../../domain/ids.ts"
import type { AggregateKind } from "../../domain/recorded.ts"
import { jobAttempts } from "../../projections/job-attempts.ts"
import type { Projection } from "../../projections/projection.ts"
import { type Listing, type RowFilter, type RowPage, Rows } from "../../projections/rows.ts"
import type { UsageBy, UsageQuery, UsageSum } from "../../projections/usage.ts"
import { columnsOf, fromColumns, snake } from "./projection-tables.ts"
import { selectList, viewOf, viewOfAll } from "./reading.ts"
import { nobody, type Reading, TenantRows, tsquery } from "./tenant-rows.ts"

type Columns = Record<string, unknown>

export const RowsPostgres = Layer.effect(Rows, Effect.gen(function*() {
  const { read } = yield* TenantRows
  return Rows.of({
    list: <Row extends object, Kind extends AggregateKind>(tenantId: TenantId, listing: Listing<Row, Kind>, filter: RowFilter<Row>, page: RowPage) =>
      Effect.map(read(tenantId, (sql) => rowPage(sql, listing, filter, page)),
        (rows) => rows.map((columns) => fromColumns<Row>(listing.projection as unknown as Projection, columns))),
    count: <Row extends object, Kind extends AggregateKind>(
      tenantId: TenantId, typed: Projection<Row, Kind>, equal: NonNullable<RowFilter<Row>["equal"]>, upTo: number
    ) =>
      Effect.map(
        read(tenantId, (sql) => sql<Array<{ count: number }>>`
          select count(*)::int as count from (${sql.unsafe(`select 1 from ${viewOf(typed as unknown as Projection)} where true`)} ${havingAll(sql, equal)} limit ${upTo}) as found`),
        ([found]) => found?.count ?? 0),
    tenants: <Row extends object, Kind extends AggregateKind>(
      typed: Projection<Row, Kind>, { after, limit }: { readonly limit: number; readonly after?: string | undefined }
    ) => {
      const projection = typed as unknown as Projection
      return Effect.map(
        read(nobody, (sql) => sql<Array<Columns>>`
          ${sql.unsafe(`select ${selectList(projection)} from ${viewOfAll(projection)}`)}
          ${after === undefined ? sql`` : sql`where tenant_id > ${after}`} order by tenant_id limit ${limit}`),
        (rows) => rows.map((columns) => fromColumns<Row>(projection, columns)))
    },
    usage: (tenantId, query) => Effect.map(read(tenantId, (sql) => usagePage(sql, query)), (rows) => rows.map(toSum)),
    usageOfTenants: (query) => Effect.map(read(nobody, (sql) => tenantsUsagePage(sql, query)), (rows) => rows.map(toSum))
  })
}))

/** `explain` goes before the query, for tests. */
export const rowPage = <Row extends object, Kind extends AggregateKind>(
  sql: Reading, { order, projection: typed }: Listing<Row, Kind>, { equal = {}, since, until, wanted }: RowFilter<Row>, { before, limit }: RowPage, explain = ""
) => {
  const projection = typed as unknown as Projection
  const terms = columnsOf(projection).filter(([, { type }]) => type === "terms").map(([name]) => name)
  const words = wanted === undefined ? undefined : tsquery(wanted)
  const columns = order.map(snake)
  return sql<Array<Columns>>`
    ${sql.unsafe(`${explain} select ${selectList(projection, terms)} from ${viewOf(projection)} where ${columns[0]} is not null`)}
    ${havingAll(sql, equal)}
    ${words === undefined ? sql`` : sql`and ${sql.unsafe(`array_to_tsvector(${snake(terms[0]!)})`)} @@ ${words}::text::tsquery`}
    ${since === undefined ? sql`` : sql`and ${sql(columns[0]!)} >= ${since}`}
    ${until === undefined ? sql`` : sql`and ${sql(columns[0]!)} < ${until}`}
    ${before === undefined ? sql`` : sql`and (${sql.unsafe(columns.join(", "))}) < (${before.map((value, at) => at === 0 ? sql`${value}` : sql`, ${value}`)})`}
    ${sql.unsafe(`order by ${columns.map((column) => `${column} desc`).join(", ")}`)} limit ${limit}`
}

const havingAll = (sql: Reading, equal: Readonly<Record<string, unknown>>) => {
  const given = Object.entries(equal).filter(([, value]) => value !== undefined) as Array<[string, string | number]>
  return given.length === 0 ? sql`` : given.map(([field, value]) => sql`and ${sql(snake(field))} = ${value}`)
}

const keys: Record<Exclude<UsageBy, "tenant">, string> = {
  total: "''", day: "to_char(to_timestamp(ended_at / 1000) at time zone 'UTC', 'YYYY-MM-DD')", compose: "compose_id"
}

/** A page's first keys bound what is read: a day by the time it ends at, a compose by its id. */
export const usagePage = (sql: Reading, { before, by, limit, since, until }: UsageQuery & { readonly by: keyof typeof keys }, explain = "") => {
  const upTo = by === "day" && before !== undefined ? Math.min(until ?? Infinity, Date.parse(`${before}T00:00:00Z`)) : until
  return sql<Array<Columns>>`
    ${sql.unsafe(`${explain} select ${keys[by]} as key, ${sums} from ${viewOf(jobAttempts)} where ended_at is not null`)} ${ended(sql, since, upTo)}
    ${by === "compose" && before !== undefined ? sql`and compose_id < ${before}` : sql``}
    group by 1 order by 1 desc limit ${limit}`
}

/** From name to name by an index, so that of each tenant only what ended in the time is read. */
export const tenantsUsagePage = (sql: Reading, { before = "", limit, since, until }: Omit<UsageQuery, "by">, explain = "") => {
  const all = viewOfAll(jobAttempts)
  return sql<Array<Columns>>`
    ${sql.unsafe(`${explain} with recursive names as (`)}
      (${sql.unsafe(`select tenant_id from ${all}`)} where tenant_id > ${before} order by tenant_id limit 1) union all
      ${sql.unsafe(`select (select a.tenant_id from ${all} a where a.tenant_id > names.tenant_id order by a.tenant_id limit 1) from names where names.tenant_id is not null`)}
    ) select * from (
      select names.tenant_id as key, used.* from names cross join lateral (
        ${sql.unsafe(`select ${sums} from ${all} a where a.tenant_id = names.tenant_id and ended_at is not null`)} ${ended(sql, since, until)}
      ) as used where names.tenant_id is not null and used.attempts > 0 limit ${limit}
    ) as page order by key`
}

const ended = (sql: Reading, since: number | undefined, until: number | undefined) => sql`
  ${since === undefined ? sql`` : sql`and ended_at >= ${since}`}
  ${until === undefined ? sql`` : sql`and ended_at < ${until}`}`

const sumOf = (column: string, where?: string) =>
  `coalesce(sum(${column})${where === undefined ? "" : ` filter (where ${where})`}, 0)::bigint`

const sums = `count(*)::int as attempts, ${sumOf("ran_ms", "kind = 'build'")} as build_ms, ${sumOf("ran_ms", "kind = 'test'")} as test_ms,
  ${sumOf("ran_ms", "kind not in ('build', 'test')")} as other_ms, ${sumOf("cpu_ms")} as cpu_ms,
  ${sumOf("stored_bytes")} as stored_bytes, ${sumOf("sent_bytes")} as sent_bytes, ${sumOf("cloud_calls")} as cloud_calls`

const toSum = (row: Columns): UsageSum => ({
  key: String(row["key"]), attempts: Number(row["attempts"]), buildMs: Number(row["build_ms"]), testMs: Number(row["test_ms"]),
  otherMs: Number(row["other_ms"]), cpuMs: Number(row["cpu_ms"]), storedBytes: Number(row["stored_bytes"]), sentBytes: Number(row["sent_bytes"]),
  cloudCalls: Number(row["cloud_calls"])
})
