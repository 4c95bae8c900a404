/** A read model as a value: no database, no clock, no memory of what it has seen. */
import type { Schema } from "effect"
import type { ComposeEvent } from "../domain/compose-events.ts"
import type { Recorded } from "../domain/recorded.ts"

/** One event with what its envelope says. */
export interface Happened {
  readonly event: ComposeEvent
  readonly recorded: Recorded<"compose">
}

/** How a row's field is stored; `json` for what is not filtered or sorted by. */
export type ColumnType = "text" | "integer" | "bigint" | "boolean" | "millis" | "json"

export interface Column {
  readonly type: ColumnType
  readonly nullable?: true
}

/** `name` in the table is the row's own key name. Every row has `tenantId`. */
export interface Projection<Row extends object = Record<string, unknown>> {
  readonly name: string
  /** Raise it when columns or evolve change: the next start builds the new version beside the old one. */
  readonly version: number
  readonly row: Schema.Top
  readonly columns: { readonly [Field in keyof Row & string]: Column }
  /** Together with `tenantId` the primary key. */
  readonly key: ReadonlyArray<keyof Row & string>
  /** Each a list of fields, tenant first in the index by itself; a `-` before a field sorts it downwards. */
  readonly indexes: ReadonlyArray<ReadonlyArray<string>>
  /** The key fields of the row that an event is about, or nothing if it is about none. */
  readonly about: (happened: Happened) => Partial<Row> | undefined
  readonly evolve: (row: Row | undefined, happened: Happened) => Row | undefined
}

/** The rows that these decisions alone give: what a query folds when it may not wait for the table. */
export const project = <Row extends object>(
  projection: Projection<Row>,
  history: Iterable<Recorded<"compose">>,
  rows: Map<string, Row> = new Map()
): Map<string, Row> => {
  for (const recorded of history) {
    for (const event of recorded.events) {
      const happened = { event, recorded }
      const about = projection.about(happened)
      if (about === undefined) continue
      const key = keyOf(projection, recorded.tenantId, about)
      const next = projection.evolve(rows.get(key), happened)
      if (next !== undefined) rows.set(key, next)
    }
  }
  return rows
}

export const keyOf = <Row extends object>(projection: Projection<Row>, tenantId: string, row: Partial<Row>): string =>
  projection.key.reduce((key, field) => `${key}\n${String(row[field as keyof Row])}`, tenantId)
