/** Entries into rows: what is read and written for a batch, in one transaction with the checkpoint. */
import { Result } from "effect"
import type { AggregateRef, LogEntry, Recorded } from "../../domain/recorded.ts"
import { fold, followsKind, keyOf, type Placed, placedEvents, type Projection } from "../../projections/projection.ts"
import type { Entries, Generation, Poison, Share } from "../../projections/projection-store.ts"
import type { Kept } from "./row-cache.ts"
import { checkpointName, deleteByKeys, fromColumns, selectByKeys, toColumns, toJson, upsert } from "./projection-tables.ts"
import type { Client } from "./sql.ts"
import type { Transaction } from "./transaction.ts"

export type Row = Record<string, unknown>

/** Says that a checkpoint was not where it should be; turned into CheckpointMoved once the transaction is rolled back. */
export class Moved extends Error {}

export interface Prepared extends Share {
  readonly generation: Generation
  /** Of its table. */
  readonly name: string
  /** In order; what could not be read, or says not what it is about, with the reason. */
  readonly steps: ReadonlyArray<{ readonly recorded: Recorded; readonly placed: ReadonlyArray<Placed> } | { readonly poison: Poison; readonly ref: AggregateRef | undefined }>
  /** Keys of rows that have to be read. */
  readonly toRead: ReadonlyMap<string, Row>
  readonly known: ReadonlyMap<string, Row>
  /** Where the known rows come from, if not all are read. */
  readonly kept: Kept | undefined
  /** What is forgotten before: aggregates, and the keys of all rows that they can have. */
  readonly anew: ReadonlyArray<AggregateRef>
  readonly toForget: ReadonlyMap<string, Row>
}

export type Poisoned = Extract<Prepared["steps"][number], { readonly poison: Poison }>

/** All that can be done before the transaction begins. */
export const prepareBatch = (
  { after, projection }: Share, generation: Generation, entries: ReadonlyArray<LogEntry>,
  { anew = [], kept, known: rows = kept?.rows }: {
    readonly anew?: ReadonlyArray<AggregateRef> | undefined; readonly kept?: Kept | undefined; readonly known?: Pick<ReadonlyMap<string, Row>, "get"> | undefined
  } = {}
): Prepared => {
  const [toRead, toForget, known, seen] = [new Map<string, Row>(), new Map<string, Row>(), new Map<string, Row>(), new Set<string>()]
  const forgotten = new Set(anew.map(nameOfRef))
  const steps: Array<Prepared["steps"][number]> = []
  const learn = (entry: Recorded, key: string, about: Partial<Row>) => {
    if (seen.has(key)) return
    seen.add(key)
    const row = rows?.get(key)
    if (row !== undefined) known.set(key, row)
    else if (forgotten.size > 0 && forgotten.has(nameOfRef(entry))) toForget.set(key, { tenantId: entry.tenantId, ...about })
    else if (!isNew(projection, entry)) toRead.set(key, { tenantId: entry.tenantId, ...about })
  }
  for (const entry of entries) {
    if (entry._tag === "Unreadable") {
      if (entry.ref !== undefined && !followsKind(projection, entry.ref.aggregate)) continue
      steps.push({ poison: { entry, reason: entry.reason }, ref: entry.ref })
      continue
    }
    if (!followsKind(projection, entry.aggregate)) continue
    const placed = placedEvents(projection, entry)
    if (Result.isFailure(placed)) steps.push({ poison: { entry, reason: placed.failure }, ref: entry })
    else {
      steps.push({ recorded: entry, placed: placed.success })
      for (const { about, key } of placed.success) learn(entry, key, about)
    }
  }
  return { projection, after, generation, name: checkpointName(projection, generation), steps, toRead, known, kept, anew, toForget }
}

/** Rows are made of one aggregate's decisions: before its first there are none. */
const isNew = ({ insertOnly }: Projection, { revision }: Recorded) => insertOnly === true || revision === 1

/** Waits for those who hold the checkpoint; `Moved` if it was not where the batch begins. */
export const takeBatch = async (tx: Transaction, { stream, upTo }: Entries, share: Prepared): Promise<ReadonlyArray<Poison>> => {
  if (share.anew.length > 0) await forget(tx, share)
  const [taken] = await takeShares(tx, { stream, upTo }, [share], "wait")
  if (taken === undefined) throw new Moved(share.name)
  return taken.poisons
}

const forget = async (tx: Transaction, { anew, generation, name, projection, toForget }: Prepared) => {
  await tx.unsafe(deleteByKeys(projection, generation), [toJson([...toForget.values()].map(toColumns))])
  await tx`delete from kiln.parked_aggregates p using json_to_recordset(${toJson(anew as ReadonlyArray<AggregateRef & Row>)}::text::json)
    as a("tenantId" text, aggregate text, id text)
    where p.projection = ${name} and p.tenant_id = a."tenantId" and p.aggregate = a.aggregate and p.aggregate_id = a.id`
}

/** What a share has become: its table's rows that were written, and what could not be taken in. */
export interface Taken {
  readonly share: Prepared
  readonly changes: number
  readonly changed: ReadonlyMap<string, Row>
  readonly poisons: ReadonlyArray<Poison>
  /** All that are, those of `poisons` included. */
  readonly parked: ReadonlySet<string>
}

/**
 * What is asked in one go is asked before it is known who takes part: that a checkpoint is held or has moved is rare, and
 * rows were read for nothing then.
 */
export const takeShares = async (
  tx: Transaction, { stream, upTo }: Omit<Entries, "entries">, shares: ReadonlyArray<Prepared>, ifHeld: "wait" | "leave"
): Promise<ReadonlyArray<Taken>> => {
  const names = shares.map(({ name }) => name)
  const first = shares.filter(({ after }) => after === 0).map(({ name }) => name)
  const [, , held, parked, ...stored] = await Promise.all([
    planAnew(tx),
    first.length > 0 && tx`insert into kiln.checkpoints select name, ${stream}, 0 from unnest(${first}::text[]) as name on conflict do nothing`,
    tx.unsafe<Array<{ projection: string; position: number; changes: number }>>(
      `select projection, position, changes from kiln.checkpoints c join kiln.projections p on p.name = c.projection
        where stream = $1 and projection = any($2::text[]) order by projection for update of c ${ifHeld === "leave" ? "skip locked" : ""}`, [stream, names], { prepare: true }),
    tx<Array<{ projection: string; tenant_id: string; aggregate: string; aggregate_id: string }>>`
      select projection, tenant_id, aggregate, aggregate_id from kiln.parked_aggregates where projection = any(${names}::text[])`,
    ...shares.map((share) => storedRows(tx, share))
  ])
  const checkpoints = new Map(held.map((row) => [row.projection, row]))
  const [writes, taken] = [[] as Array<Promise<unknown>>, [] as Array<Taken>]
  for (const [at, share] of shares.entries()) {
    const { after, generation, name, projection } = share
    const checkpoint = checkpoints.get(name)
    if (checkpoint?.position !== after || share.kept !== undefined && checkpoint.changes !== share.kept.changes) continue
    const passedOver = new Set(parked.filter((row) => row.projection === name).map((row) => nameOf(row.tenant_id, row.aggregate, row.aggregate_id)))
    const { changed, poisons } = foldSteps(share, stored[at]!, passedOver)
    if (changed.size > 0) writes.push(write(tx, projection, generation, changed.values()))
    for (const { poison: { entry, reason }, ref } of poisons) {
      if (ref !== undefined) writes.push(park(tx, name, ref, stream, entry.position.sequence, reason))
    }
    taken.push({ share, changes: checkpoint.changes, changed, poisons: poisons.map(({ poison }) => poison), parked: passedOver })
  }
  const moved = taken.map(({ share }) => share.name)
  if (moved.length > 0) {
    await Promise.all([...writes, tx`update kiln.checkpoints set position = ${upTo} where stream = ${stream} and projection = any(${moved}::text[])`])
  }
  return taken
}

/** Plans are made for the table's size of now: one that was made while it was small would go on reading the whole of it. */
const planAnew = (tx: Transaction) => tx`select set_config('plan_cache_mode', 'force_custom_plan', true)`

export const storedRows = async (sql: Client | Transaction, { generation, projection, toRead }: Prepared, mark = ""): Promise<ReadonlyArray<Row>> =>
  toRead.size === 0 ? [] : await sql.unsafe<Array<Row>>(`${mark} ${selectByKeys(projection, generation)}`, [toJson([...toRead.values()].map(toColumns))], { prepare: true })

/** Adds to `passedOver` what cannot be taken in. */
export const foldSteps = ({ known, projection, steps }: Prepared, stored: ReadonlyArray<Row>, passedOver: Set<string>) => {
  const before = new Map(known)
  for (const columns of stored) before.set(...keyed(projection, columns))
  const changed = new Map<string, Row>()
  const rows = { get: (key: string) => changed.get(key) ?? before.get(key) }
  const poisons: Array<Poisoned> = []
  const poisoned = (poison: Poison, ref: AggregateRef | undefined) => {
    if (ref !== undefined && passedOver.has(nameOfRef(ref))) return
    if (ref !== undefined) passedOver.add(nameOfRef(ref))
    poisons.push({ poison, ref })
  }
  for (const step of steps) {
    if ("poison" in step) {
      poisoned(step.poison, step.ref)
      continue
    }
    const { placed, recorded } = step
    if (passedOver.size > 0 && passedOver.has(nameOfRef(recorded))) continue
    const taken = fold(projection, rows, placed)
    if (Result.isFailure(taken)) {
      poisoned({ entry: recorded, reason: taken.failure }, recorded)
      continue
    }
    for (const [key, row] of taken.success) changed.set(key, row)
  }
  return { before, changed, poisons }
}

export const write = async (tx: Transaction, projection: Projection, generation: Generation, rows: Iterable<Row>) =>
  void await tx.unsafe(upsert(projection, generation), [toJson([...rows].map(toColumns))], { prepare: true })

export const park = async (tx: Transaction, name: string, { aggregate, id, tenantId }: AggregateRef, stream: string, sequence: number, reason: string) =>
  void await tx`insert into kiln.parked_aggregates (projection, tenant_id, aggregate, aggregate_id, stream, sequence, reason)
    values (${name}, ${tenantId}, ${aggregate}, ${id}, ${stream}, ${sequence}, ${reason})
    on conflict (projection, tenant_id, aggregate, aggregate_id) do update set reason = excluded.reason`

const keyed = (projection: Projection, columns: Row): readonly [string, Row] => {
  const row = fromColumns<Row>(projection, columns)
  return [keyOf(projection, String(row["tenantId"]), row), row]
}

export const nameOf = (tenantId: string, aggregate: string, id: string) => `${tenantId}/${aggregate}/${id}`
const nameOfRef = ({ aggregate, id, tenantId }: AggregateRef) => nameOf(tenantId, aggregate, id)
