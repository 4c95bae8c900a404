/** Which composes of a stream have not ended, folded from its entries in order: while there are any, it is not sealed. */
import { isEnd } from "./compose-ending.ts"
import type { LogEntry, Unreadable } from "./recorded.ts"

export class OpenComposes {
  readonly #open = new Set<string>()
  readonly #unreadable: Array<Unreadable> = []
  position = 0

  /** Of which nobody knows what they say: of one that is open, perhaps. */
  get unreadable(): ReadonlyArray<Unreadable> {
    return this.#unreadable
  }

  /** Those that are known to be open. One with an entry that nobody can read will never end: it is left to that entry. */
  get size(): number {
    const lost = new Set(this.#unreadable.flatMap(({ ref }) => ref === undefined ? [] : [nameOf(ref)]))
    return this.#open.difference(lost).size
  }

  record(entry: LogEntry): void {
    this.position = entry.position.sequence
    if (entry._tag === "Unreadable") return void this.#unreadable.push(entry)
    const name = nameOf(entry)
    for (const event of entry.events) {
      if (event._tag === "ComposeRequested" || event._tag === "ComposeReopened") this.#open.add(name)
      else if (isEnd(event as never)) this.#open.delete(name)
    }
  }
}

const nameOf = ({ id, tenantId }: { readonly tenantId: string; readonly id: string }) => `${tenantId}/${id}`
