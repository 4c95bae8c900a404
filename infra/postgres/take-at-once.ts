/**
 * A batch in one statement, which is a transaction of its own, for tables to which nobody but this process has written since its
 * last batch. Whether that is so, the statement finds out itself, and writes nothing if not.
 */
import type { Projection } from "../../projections/projection.ts"
import type { Entries } from "../../projections/projection-store.ts"
import { keyFields, toColumns, toJson, update, upsert } from "./projection-tables.ts"
import type { Client } from "./sql.ts"
import { foldSteps, type Prepared, type Row, storedRows, type Taken } from "./take-batch.ts"

/** What has been written so far, as far as statements depend on it. */
export class Written {
  readonly #changing = new Map<string, Set<string>>()
  #inserted = 0

  /** Columns that have been seen to change. Each set of them is a statement of its own, so sets only grow. */
  columns({ name }: Projection): ReadonlySet<string> {
    return this.#changing.get(name) ?? new Set()
  }

  /** Part of each statement, so that it is planned anew when there is twice as much: what was planned for a small table would go on reading the whole of it. */
  get mark(): string {
    return `/* ${Math.floor(Math.log2(256 + this.#inserted))} */`
  }

  inserted(count: number): void {
    this.#inserted += count
  }

  changed({ columns, name }: Projection, before: Row, after: Row): void {
    const known = this.#changing.get(name) ?? new Set()
    this.#changing.set(name, known)
    for (const column in columns) if (before[column] !== after[column]) known.add(column)
  }
}

/** `undefined`: a table is held or was changed by somebody else, or an entry cannot be taken in; nothing is written then. */
export const takeAtOnce = async (
  sql: Client, written: Written, { stream, upTo }: Omit<Entries, "entries">, shares: ReadonlyArray<Prepared>
): Promise<ReadonlyArray<Taken> | undefined> => {
  if (shares.some(({ kept }) => kept === undefined)) return undefined
  // Rows change only with the checkpoint or with `changes`, which are looked at when they are written.
  const stored = await Promise.all(shares.map((share) => storedRows(sql, share, written.mark)))
  const [taken, writes] = [[] as Array<Taken>, [] as Array<Write>]
  for (const [at, share] of shares.entries()) {
    const { changes, parked } = share.kept!
    const passedOver = new Set(parked)
    const { before, changed, poisons } = foldSteps(share, stored[at]!, passedOver)
    if (poisons.length > 0) return undefined
    taken.push({ share, changes, changed, poisons: [], parked: passedOver })
    if (changed.size > 0) writes.push(...writesOf(share.projection, written, before, changed))
  }
  const given = taken.map(({ changes, share: { after, name } }) => ({ name, after, changes }))
  const [row] = await sql.unsafe<Array<{ whole: boolean }>>(
    `${written.mark} ${statementOf(writes)}`, [toJson(given), stream, upTo, ...writes.map(({ rows }) => toJson(rows))], { prepare: true })
  return row?.whole === true ? taken : undefined
}

interface Write {
  readonly rows: ReadonlyArray<Row>
  readonly statement: (how: { readonly parameter: number; readonly only: string }) => string
}

/** Of rows that are there, most is as it was: that is neither sent nor read again. */
const writesOf = (projection: Projection, written: Written, before: ReadonlyMap<string, Row>, changed: ReadonlyMap<string, Row>): ReadonlyArray<Write> => {
  const [fresh, known] = [[] as Array<Row>, [] as Array<Row>]
  for (const [key, row] of changed) {
    const was = before.get(key)
    if (was === undefined) fresh.push(toColumns(row))
    else {
      known.push(row)
      written.changed(projection, was, row)
    }
  }
  written.inserted(fresh.length)
  const columns = written.columns(projection)
  const inserted: Write = { rows: fresh, statement: (how) => upsert(projection, "live", how) }
  if (columns.size === 0) return [inserted]
  const named = [...keyFields(projection), ...columns]
  const updated = known.map((row) => toColumns(Object.fromEntries(named.map((name) => [name, row[name]]))))
  return [inserted, { rows: updated, statement: (how) => update(projection, columns, how) }]
}

/** Whoever changes a table otherwise has its checkpoint locked, or tells of it in `kiln.projections`: neither may happen meanwhile. */
const statementOf = (writes: ReadonlyArray<Write>): string => `
  with given as materialized (select * from json_to_recordset($1::text::json) as g(name text, after bigint, changes bigint)),
  held as materialized (
    select c.projection from given g
      join kiln.checkpoints c on c.projection = g.name and c.stream = $2 and c.position = g.after
      join kiln.projections p on p.name = g.name and p.changes = g.changes
    for update of c skip locked for share of p skip locked),
  whole as materialized (select from held having count(*) = (select count(*) from given)),
  moved as (update kiln.checkpoints c set position = $3 from whole, held h where c.stream = $2 and c.projection = h.projection)
  ${writes.map(({ statement }, at) => `, w${at} as (${statement({ parameter: at + 4, only: "whole" })})`).join("")}
  select exists (select from whole) as whole`
