/**
 * Entries into a table to which nobody else writes. They are folded as they come, and rows wait until there are many: most of
 * an aggregate's life is one write of its row then, and what changes again soon is not read.
 */
import type { LogEntry } from "../../domain/recorded.ts"
import type { Projection } from "../../projections/projection.ts"
import type { Generation, Poison } from "../../projections/projection-store.ts"
import { copyRows } from "./copy-rows.ts"
import { checkpointName } from "./projection-tables.ts"
import type { Client } from "./sql.ts"
import { foldSteps, Moved, nameOf, park, type Poisoned, prepareBatch, type Row, storedRows, write } from "./take-batch.ts"
import { type Transaction, transaction } from "./transaction.ts"

/** Rows that are to be written together with the checkpoint. */
interface Load {
  readonly changed: ReadonlyMap<string, Row>
  /** Which of them the table has not. */
  readonly fresh: ReadonlySet<string>
  readonly poisoned: ReadonlyArray<Poisoned>
}

interface Clients {
  readonly sql: Client
  readonly byKey: Client
}

export class TableFill {
  readonly #clients: Clients
  readonly #projection: Projection
  readonly #generation: Generation
  readonly #stream: string
  readonly #parked: Set<string>
  #position: number
  #waiting = new Map<string, Row>()
  #fresh = new Set<string>()
  #poisoned: Array<Poisoned> = []
  /** Written last, or being written. */
  #written: ReadonlyMap<string, Row> = new Map()

  private constructor(clients: Clients, projection: Projection, generation: Generation, { after, stream }: { readonly stream: string; readonly after: number }, parked: Set<string>) {
    this.#clients = clients
    this.#projection = projection
    this.#generation = generation
    this.#stream = stream
    this.#position = after
    this.#parked = parked
  }

  static async begin(clients: Clients, projection: Projection, generation: Generation, place: { readonly stream: string; readonly after: number }): Promise<TableFill> {
    const rows = await clients.sql<Array<{ tenant_id: string; aggregate: string; aggregate_id: string }>>`
      select tenant_id, aggregate, aggregate_id from kiln.parked_aggregates where projection = ${checkpointName(projection, generation)}`
    return new TableFill(clients, projection, generation, place, new Set(rows.map((row) => nameOf(row.tenant_id, row.aggregate, row.aggregate_id))))
  }

  get rowsWaiting(): number {
    return this.#waiting.size
  }

  async take(entries: ReadonlyArray<LogEntry>): Promise<void> {
    const known = { get: (key: string) => this.#waiting.get(key) ?? this.#written.get(key) }
    const prepared = prepareBatch({ projection: this.#projection, after: this.#position }, this.#generation, entries, { known })
    const { before, changed, poisons } = foldSteps(prepared, await storedRows(this.#clients.byKey, prepared), this.#parked)
    for (const [key, row] of changed) {
      if (!before.has(key)) this.#fresh.add(key)
      this.#waiting.set(key, row)
    }
    this.#poisoned.push(...poisons)
  }

  /** In one transaction with the checkpoint, which becomes `upTo`; others may be taken meanwhile, but not be written. */
  async write(upTo: number): Promise<ReadonlyArray<Poison>> {
    const load: Load = { changed: this.#waiting, fresh: this.#fresh, poisoned: this.#poisoned }
    const after = this.#position
    this.#written = this.#waiting
    this.#position = upTo
    ;[this.#waiting, this.#fresh, this.#poisoned] = [new Map(), new Set(), []]
    const attempt = (fresh: ReadonlySet<string>) => transaction(this.#clients.sql, (tx) => this.#store(tx, { ...load, fresh }, after, upTo))
    try {
      await attempt(load.fresh)
    } catch (error) {
      // A first decision that is there twice, in whatever way that came about, is no reason to stop.
      if ((error as { readonly code?: string }).code !== isThere) throw error
      await attempt(new Set())
    }
    return load.poisoned.map(({ poison }) => poison)
  }

  async #store(tx: Transaction, { changed, fresh, poisoned }: Load, after: number, upTo: number): Promise<void> {
    const [projection, generation, stream] = [this.#projection, this.#generation, this.#stream]
    const name = checkpointName(projection, generation)
    if (after === 0) await tx`insert into kiln.checkpoints values (${name}, ${stream}, 0) on conflict do nothing`
    const [moved] = await tx`update kiln.checkpoints set position = ${upTo} where projection = ${name} and stream = ${stream} and position = ${after} returning 1`
    if (moved === undefined) throw new Moved(name)
    const [inserts, updates] = [[] as Array<Row>, [] as Array<Row>]
    for (const [key, row] of changed) (fresh.has(key) ? inserts : updates).push(row)
    if (inserts.length > 0) await copyRows(tx, projection, generation, inserts)
    if (updates.length > 0) await write(tx, projection, generation, updates)
    for (const { poison: { entry, reason }, ref } of poisoned) {
      if (ref !== undefined) await park(tx, name, ref, stream, entry.position.sequence, reason)
    }
  }
}

const isThere = "23505"
