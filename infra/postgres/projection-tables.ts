/** A projection's table as SQL: names come from projections in this repository, never from input. */
import type { Column, ColumnType, Projection } from "../../projections/projection.ts"
import type { Generation } from "../../projections/projection-store.ts"

export const schema = "kiln"

const sqlTypes: Record<ColumnType, string> = {
  text: "text", integer: "integer", bigint: "bigint", boolean: "boolean", millis: "bigint", json: "jsonb", terms: "text[]"
}

const snakes = new Map<string, string>()

/** Names are few, and asked for with every row. */
export const snake = (name: string): string => {
  const known = snakes.get(name) ?? name.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
  snakes.set(name, known)
  return known
}

export const tableOf = (projection: Projection, generation: Generation): string => `${schema}.${checkpointName(projection, generation)}`

/** Of a table, and of its row in `kiln.projections`; checkpoints and what is parked go by it, too. */
export const checkpointName = (projection: Projection, generation: Generation): string =>
  generation === "live" ? projection.name : `${projection.name}__${generation}`

export const columnsOf = (projection: Projection): ReadonlyArray<readonly [string, Column]> => Object.entries(projection.columns)

export const keyColumns = (projection: Projection): ReadonlyArray<string> => ["tenant_id", ...projection.key.map(snake)]

export const createTable = (projection: Projection, generation: Generation): string => {
  const columns = columnsOf(projection).map(([name, { type, nullable }]) => `${snake(name)} ${sqlTypes[type]}${nullable ? "" : " not null"}`)
  return `create table ${tableOf(projection, generation)} (${[...columns, `primary key (${keyColumns(projection).join(", ")})`].join(", ")})`
}

export const createIndexes = (projection: Projection, generation: Generation): ReadonlyArray<string> => [
  ...projection.indexes.map((fields) => {
    const columns = fields.map((field) => field.startsWith("-") ? `${snake(field.slice(1))} desc` : snake(field))
    return `create index on ${tableOf(projection, generation)} (${["tenant_id", ...columns].join(", ")})`
  }),
  // What has not been sorted in yet is looked through by each query, and holds up the one that has to sort it in: so it stays small.
  ...columnsOf(projection).filter(([, { type }]) => type === "terms")
    .map(([name]) => `create index on ${tableOf(projection, generation)} using gin (array_to_tsvector(${snake(name)})) with (gin_pending_list_limit = 128)`)
]

/** No plan depends on what lies in documents, nor on words but by their index; to count them takes most of the time of `analyze`. */
export const leaveUnanalysed = (projection: Projection, generation: Generation): ReadonlyArray<string> =>
  columnsOf(projection).filter(([, { type }]) => type === "json" || type === "terms")
    .map(([name]) => `alter table ${tableOf(projection, generation)} alter column ${snake(name)} set statistics 0`)

export const selectByKeys = (projection: Projection, generation: Generation): string =>
  `select t.* from ${tableOf(projection, generation)} t join ${keysGiven(projection)} using (${keyColumns(projection).join(", ")})`

export const deleteByKeys = (projection: Projection, generation: Generation): string =>
  `delete from ${tableOf(projection, generation)} t using ${keysGiven(projection)}
    where ${keyColumns(projection).map((name) => `t.${name} = k.${name}`).join(" and ")}`

const keysGiven = (projection: Projection): string =>
  `json_to_recordset($1::text::json) as k(${keyColumns(projection).map((name) => `${name} ${keyType(projection, name)}`).join(", ")})`

/** One parameter for any number of rows, the first unless said; `only` is a table that has one row if they are to be written. */
export const upsert = (projection: Projection, generation: Generation, { only, parameter = 1 }: { readonly parameter?: number; readonly only?: string } = {}): string => {
  const rest = columnsOf(projection).map(([name]) => snake(name)).filter((name) => !keyColumns(projection).includes(name))
  return `insert into ${tableOf(projection, generation)} select r.* from ${only === undefined ? "" : `${only}, `}${rowsGiven(projection, generation, parameter)}
    on conflict (${keyColumns(projection).join(", ")}) do update set ${rest.map((name) => `${name} = excluded.${name}`).join(", ")}`
}

/** Of rows that are there, these columns alone. */
export const update = (projection: Projection, columns: Iterable<string>, { only, parameter }: { readonly parameter: number; readonly only: string }): string =>
  `update ${tableOf(projection, "live")} t set ${Array.from(columns, (name) => `${snake(name)} = r.${snake(name)}`).join(", ")}
    from ${only}, ${rowsGiven(projection, "live", parameter)} where ${keyColumns(projection).map((name) => `t.${name} = r.${name}`).join(" and ")}`

const rowsGiven = (projection: Projection, generation: Generation, parameter: number): string =>
  `json_populate_recordset(null::${tableOf(projection, generation)}, $${parameter}::text::json) r`

const keyType = (projection: Projection, column: string): string => {
  const field = columnsOf(projection).find(([name]) => snake(name) === column)
  return sqlTypes[field?.[1].type ?? "text"]
}

/** Text that Postgres cannot store (NUL, half a surrogate pair) is replaced: one odd line must not stop a projection. */
export const toJson = (value: unknown): string => {
  const text = JSON.stringify(value)
  // Both are written as escapes, which almost no text has; to look at each value takes ten times as long.
  return mayBeUnstorable.test(text) ? JSON.stringify(value, storable) : text
}

const mayBeUnstorable = /\\u(0000|d[89a-f])/

const storable = (_: string, value: unknown) =>
  typeof value === "string" ? storableText(value)
    : typeof value !== "object" || value === null || Array.isArray(value) ? value
    : Object.fromEntries(Object.entries(value).map(([name, field]) => [storableText(name), field as unknown]))

export const storableText = (text: string): string => isStorable(text) ? text : text.replaceAll("\u0000", "\ufffd").toWellFormed()

const isStorable = (text: string) => text.isWellFormed() && !text.includes("\u0000")

/** Their names as the projection has them. */
export const keyFields = (projection: Projection): ReadonlyArray<string> => ["tenantId", ...projection.key]

export const toColumns = (row: Record<string, unknown>): Record<string, unknown> => {
  const columns: Record<string, unknown> = {}
  for (const name in row) columns[snake(name)] = row[name]
  return columns
}

export const fromColumns = <Row>(projection: Projection, columns: Record<string, unknown>): Row => {
  const row: Record<string, unknown> = {}
  for (const name in projection.columns) row[name] = columns[snake(name)]
  return row as Row
}
