/** Which composes of a stream have not ended, folded from its entries in order: while there are any, it is not sealed. */
import { isEnd } from "./compose-ending.ts"
import type { LogEntry } from "./recorded.ts"

export class OpenComposes {
  /** Also what nobody can read: it may be one that is open. */
  readonly #open = new Set<string>()
  position = 0

  get size(): number {
    return this.#open.size
  }

  record(entry: LogEntry): void {
    this.position = entry.position.sequence
    if (entry._tag === "Unreadable") return void this.#open.add(entry.subject)
    const name = `${entry.tenantId}/${entry.id}`
    for (const event of entry.events) {
      if (event._tag === "ComposeRequested" || event._tag === "ComposeReopened") this.#open.add(name)
      else if (isEnd(event as never)) this.#open.delete(name)
    }
  }
}
