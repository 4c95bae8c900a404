/** Entries into rows: what is read and written for a batch, in one transaction with the checkpoint. */
import { Result } from "effect"
import type postgres from "postgres"
import type { AggregateRef, LogEntry, Recorded } from "../../domain/recorded.ts"
import { followsKind, keysIn, keyOf, type Projection, takeIn } from "../../projections/projection.ts"
import type { Batch, Generation, Poison } from "../../projections/projection-store.ts"
import { checkpointName, fromColumns, selectByKeys, toColumns, toJson, upsert } from "./projection-tables.ts"

export type Row = Record<string, unknown>
export type Transaction = postgres.TransactionSql<{ bigint: number }>

/** Says that a checkpoint was not where it should be; turned into CheckpointMoved once the transaction is rolled back. */
export class Moved extends Error {}

interface Prepared {
  /** In order; what could not be read, or says not what it is about, with the reason. */
  readonly steps: ReadonlyArray<{ readonly recorded: Recorded } | { readonly poison: Poison; readonly ref: AggregateRef | undefined }>
  readonly keys: ReadonlyMap<string, Row>
}

/** All that can be done before the transaction begins. */
export const prepareBatch = (projection: Projection, entries: ReadonlyArray<LogEntry>): Prepared => {
  const keys = new Map<string, Row>()
  const steps: Array<Prepared["steps"][number]> = []
  for (const entry of entries) {
    if (entry._tag === "Unreadable") {
      if (entry.ref !== undefined && !followsKind(projection, entry.ref.aggregate)) continue
      steps.push({ poison: { entry, reason: entry.reason }, ref: entry.ref })
      continue
    }
    if (!followsKind(projection, entry.aggregate)) continue
    const found = keysIn(projection, entry)
    if (Result.isFailure(found)) steps.push({ poison: { entry, reason: found.failure }, ref: entry })
    else {
      steps.push({ recorded: entry })
      for (const [key, about] of found.success) keys.set(key, { tenantId: entry.tenantId, ...about })
    }
  }
  return { steps, keys }
}

export const takeBatch = async (
  tx: Transaction, projection: Projection, generation: Generation, { after, stream, upTo }: Batch, { keys, steps }: Prepared
): Promise<ReadonlyArray<Poison>> => {
  const name = checkpointName(projection, generation)
  // All are asked in one go: a checkpoint that has moved is rare, and the rows were read for nothing then.
  const [moved, stored, parked] = await Promise.all([
    after === 0
      ? tx`insert into kiln.checkpoints values (${name}, ${stream}, ${upTo}) on conflict do nothing`
      : tx`update kiln.checkpoints set position = ${upTo} where projection = ${name} and stream = ${stream} and position = ${after}`,
    keys.size === 0 ? [] : tx.unsafe<Array<Row>>(selectByKeys(projection, generation), [toJson([...keys.values()].map(toColumns))], { prepare: true }),
    tx<Array<{ tenant_id: string; aggregate: string; aggregate_id: string }>>`
      select tenant_id, aggregate, aggregate_id from kiln.parked_aggregates where projection = ${name}`
  ])
  if (moved.count !== 1) throw new Moved(name)
  const passedOver = new Set(parked.map((row) => nameOf(row.tenant_id, row.aggregate, row.aggregate_id)))
  const rows = new Map(stored.map((columns) => keyed(projection, columns)))
  const { changed, poisons } = foldSteps(projection, steps, rows, passedOver)
  if (changed.size > 0) await write(tx, projection, generation, changed.values())
  for (const { poison: { entry, reason }, ref } of poisons) {
    if (ref !== undefined) await park(tx, name, ref, entry.position.stream, entry.position.sequence, reason)
  }
  return poisons.map(({ poison }) => poison)
}

const foldSteps = (projection: Projection, steps: Prepared["steps"], rows: Map<string, Row>, passedOver: Set<string>) => {
  const changed = new Map<string, Row>()
  const poisons: Array<Extract<Prepared["steps"][number], { readonly poison: Poison }>> = []
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
    const { recorded } = step
    if (passedOver.size > 0 && passedOver.has(nameOfRef(recorded))) continue
    const taken = takeIn(projection, rows, recorded)
    if (Result.isFailure(taken)) {
      poisoned({ entry: recorded, reason: taken.failure }, recorded)
      continue
    }
    for (const [key, row] of taken.success) {
      rows.set(key, row)
      changed.set(key, row)
    }
  }
  return { changed, poisons }
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

const nameOf = (tenantId: string, aggregate: string, id: string) => `${tenantId}/${aggregate}/${id}`
const nameOfRef = ({ aggregate, id, tenantId }: AggregateRef) => nameOf(tenantId, aggregate, id)
