/**
 * Rows as this process wrote them last, by table and stream: while nobody else writes there, they need not be read again.
 * The table's checkpoint moves with every batch, and `changes` in `kiln.projections` with everything else that is done to rows.
 */
import type { Row } from "./take-batch.ts"

export interface Kept {
  readonly changes: number
  readonly rows: Map<string, Row>
  /** Aggregates that are parked for this table. */
  readonly parked: ReadonlySet<string>
}

/** Of a table and stream: as many as are likely to change soon. */
const most = 1000

export class RowCache {
  readonly #kept = new Map<string, Kept & { readonly position: number }>()

  /** What is known of a table whose checkpoint is at `after`; it is gone from here until it is put back after a commit. */
  take(table: string, stream: string, after: number): Kept | undefined {
    const name = `${stream} ${table}`
    const kept = this.#kept.get(name)
    this.#kept.delete(name)
    return kept?.position === after ? kept : undefined
  }

  put(table: string, stream: string, position: number, { changes, parked, rows }: Kept, changed: ReadonlyMap<string, Row>): void {
    for (const [key, row] of changed) {
      rows.delete(key)
      rows.set(key, row)
    }
    for (const key of rows.keys()) {
      if (rows.size <= most) break
      rows.delete(key)
    }
    this.#kept.set(`${stream} ${table}`, { position, changes, parked, rows })
  }
}
