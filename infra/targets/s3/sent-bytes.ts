import type { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { Journal } from "../../../domain/ports/image-targets.ts"

/** Bytes sent, over all attempts that are in the journal. */
export class SentBytes {
  total: number
  readonly #journal: Journal

  constructor(journal: Journal) {
    this.#journal = journal
    this.total = (journal.read("sent") as number | undefined) ?? 0
  }

  add(bytes: number): Effect.Effect<void, BuildFailed> {
    this.total += bytes
    return this.#journal.note("sent", this.total)
  }
}
