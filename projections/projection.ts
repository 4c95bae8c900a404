/** A read model as a value: no database, no clock, no memory of what it has seen. */
import { Result, type Schema } from "effect"
import type { AggregateKind, EventOf, Recorded } from "../domain/recorded.ts"

/** One event with what its envelope says, and its place among the events of its decision. */
export type Happened<Kind extends AggregateKind = AggregateKind> = {
  [Each in Kind]: { readonly event: EventOf<Each>; readonly recorded: Recorded<Each>; readonly place: number }
}[Kind]

/** How a row's field is stored; `json` for what is not filtered or sorted by, `terms` for words that rows are found by. */
export type ColumnType = "text" | "integer" | "bigint" | "boolean" | "millis" | "json" | "terms"

export interface Column {
  readonly type: ColumnType
  readonly nullable?: true
}

/**
 * `name` in the table is the row's own key name. Every row has `tenantId`, and is made of the events of one aggregate
 * alone: so one that cannot be taken in holds up no other, and can be folded anew by itself.
 */
export interface Projection<Row extends object = Record<string, unknown>, Kind extends AggregateKind = AggregateKind> {
  readonly name: string
  /** Raise it when columns or evolve change: the next start builds the new version beside the old one. */
  readonly version: number
  /** Whose events it is made of; `all` also takes in kinds that are yet to come. */
  readonly aggregates: ReadonlyArray<Kind> | "all"
  readonly row: Schema.Top
  readonly columns: { readonly [Field in keyof Row & string]: Column }
  /** Together with `tenantId` the primary key. */
  readonly key: ReadonlyArray<keyof Row & string>
  /** Each a list of fields, tenant first in the index by itself; a `-` before a field sorts it downwards. */
  readonly indexes: ReadonlyArray<ReadonlyArray<string>>
  /** Whether no row is ever changed: its key is an entry's own position. */
  readonly insertOnly?: true
  /** Whether operators of the installation may list it over all tenants. */
  readonly acrossTenants?: true
  /** The key fields of the row that an event is about, or nothing if it is about none. */
  readonly about: (happened: Happened<Kind>) => Partial<Row> | undefined
  readonly evolve: (row: Row | undefined, happened: Happened<Kind>) => Row | undefined
}

export const followsKind = <Row extends object, Kind extends AggregateKind>({ aggregates }: Projection<Row, Kind>, kind: AggregateKind): boolean =>
  aggregates === "all" || (aggregates as ReadonlyArray<AggregateKind>).includes(kind)

/** An event with the key of the row that it is about, and the key's fields. */
export interface Placed<Row extends object = Record<string, unknown>, Kind extends AggregateKind = AggregateKind> {
  readonly happened: Happened<Kind>
  readonly key: string
  readonly about: Partial<Row>
}

/** Those of a decision's events that are about a row; or why that cannot be said. */
export const placedEvents = <Row extends object, Kind extends AggregateKind>(
  projection: Projection<Row, Kind>,
  recorded: Recorded
): Result.Result<ReadonlyArray<Placed<Row, Kind>>, string> =>
  guarded(() => {
    const placed: Array<Placed<Row, Kind>> = []
    for (const [place, event] of recorded.events.entries()) {
      const happened = { event, recorded, place } as unknown as Happened<Kind>
      const about = projection.about(happened)
      if (about !== undefined) placed.push({ happened, key: keyOf(projection, recorded.tenantId, about), about })
    }
    return placed
  })

/** Takes a decision in, wholly or not at all: answers the rows that it changes, by key, or what is wrong with it. */
export const fold = <Row extends object, Kind extends AggregateKind>(
  projection: Projection<Row, Kind>,
  rows: Pick<ReadonlyMap<string, Row>, "get">,
  placed: ReadonlyArray<Placed<Row, Kind>>
): Result.Result<ReadonlyMap<string, Row>, string> =>
  guarded(() => {
    const changed = new Map<string, Row>()
    for (const { happened, key } of placed) {
      const next = projection.evolve(changed.get(key) ?? rows.get(key), happened)
      if (next !== undefined) changed.set(key, next)
    }
    return changed
  })

/** The same of a decision as it comes. */
export const takeIn = <Row extends object, Kind extends AggregateKind>(
  projection: Projection<Row, Kind>,
  rows: ReadonlyMap<string, Row>,
  recorded: Recorded
): Result.Result<ReadonlyMap<string, Row>, string> =>
  Result.flatMap(placedEvents(projection, recorded), (placed) => fold(projection, rows, placed))

/** The rows that these decisions alone give: what a query folds when it may not wait for the table. */
export const project = <Row extends object, Kind extends AggregateKind>(
  projection: Projection<Row, Kind>,
  history: Iterable<Recorded>,
  rows: Map<string, Row> = new Map()
): Map<string, Row> => {
  for (const recorded of history) {
    if (!followsKind(projection, recorded.aggregate)) continue
    for (const [key, row] of Result.getOrThrow(takeIn(projection, rows, recorded))) rows.set(key, row)
  }
  return rows
}

export const keyOf = <Row extends object>(
  projection: { readonly key: ReadonlyArray<string> }, tenantId: string, row: Partial<Row>
): string =>
  projection.key.reduce((key, field) => `${key}\n${String(row[field as keyof Row])}`, tenantId)

/** What a later version wrote, or a fault of ours, may make a fold die: of that nobody else is to suffer. */
const guarded = <A>(run: () => A): Result.Result<A, string> => {
  try {
    return Result.succeed(run())
  } catch (error) {
    return Result.fail(error instanceof Error ? error.message : String(error))
  }
}
