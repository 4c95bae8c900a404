/** What is known of composes, folded along with the log; what is not remembered is read. */
import { Effect } from "effect"
import { type ComposeFacts, withEvent } from "../../domain/compose-facts.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Recorded } from "../../domain/recorded.ts"

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

export const factsAfter = Effect.fnUntraced(function*(memory: FactsMemory, recorded: Recorded<"compose">) {
  const followed = memory.follow(recorded)
  if (followed !== undefined) return followed
  const history = (yield* (yield* EventLog).read(recorded)).recorded.filter(({ revision }) => revision <= recorded.revision)
  const facts = history.flatMap(({ events }) => events).reduce(withEvent, undefined as ComposeFacts | undefined)
  memory.set(recorded.id, { facts, revision: recorded.revision })
  return facts
})
