/** What is known of composes, folded along with the log; what was heard of longest ago is forgotten. */
import { type ComposeFacts, withEvent } from "./compose-facts.ts"
import type { Recorded } from "./recorded.ts"

interface Known {
  readonly facts: ComposeFacts | undefined
  readonly revision: number
}

const largest = 5000

export class FactsMemory {
  readonly #known = new Map<string, Known>()

  /** Those that hold after the decision, if those before it are remembered. */
  follow({ events, id, revision }: Recorded<"compose">): ComposeFacts | undefined {
    const before = revision === 1 ? { facts: undefined, revision: 0 } : this.#known.get(id)
    if (before === undefined || before.revision !== revision - 1) return undefined
    const facts = events.reduce(withEvent, before.facts)
    this.set(id, { facts, revision })
    return facts
  }

  set(id: string, known: Known): void {
    this.#known.delete(id)
    this.#known.set(id, known)
    if (this.#known.size > largest) this.#known.delete(this.#known.keys().next().value!)
  }
}
