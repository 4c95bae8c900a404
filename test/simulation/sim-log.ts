/** The log as its followers and writers see it: a revision is taken once, and the same message again is recognised for a while. */
import type { AggregateKind, AggregateRef, Decision, Recorded } from "../../domain/recorded.ts"
import type { Clock } from "./clock.ts"

const duplicatesKnownForMs = 120_000
export const stream = "EVENTS"

export class SimLog {
  readonly entries: Array<Recorded> = []
  readonly #aggregates = new Map<string, Array<Recorded>>()
  readonly #messages = new Map<string, { readonly at: number; readonly entry: Recorded }>()
  readonly #waiting: Array<() => void> = []
  readonly #clock: Clock
  readonly #onEntry: (entry: Recorded) => void

  constructor(clock: Clock, onEntry: (entry: Recorded) => void) {
    this.#clock = clock
    this.#onEntry = onEntry
  }

  read<Kind extends AggregateKind>({ aggregate, id, tenantId }: AggregateRef<Kind>): ReadonlyArray<Recorded<Kind>> {
    return [...this.#aggregates.get(`${tenantId}/${aggregate}/${id}`) ?? []] as ReadonlyArray<unknown> as ReadonlyArray<Recorded<Kind>>
  }

  /** `undefined` for a wrong revision. */
  append(ref: AggregateRef, after: number, decision: Decision): Recorded | undefined {
    const key = `${ref.tenantId}/${ref.aggregate}/${ref.id}`
    const message = `${key}/${decision.messageId}`
    const known = this.#messages.get(message)
    if (known !== undefined && this.#clock.now - known.at < duplicatesKnownForMs) return known.entry
    const recorded = this.#aggregates.get(key) ?? []
    if (recorded.length !== after) {
      const taken = recorded[after]
      return taken?.messageId === decision.messageId ? taken : undefined
    }
    const entry = {
      _tag: "Recorded", ...ref, ...decision, position: { stream, sequence: this.entries.length + 1 }, revision: after + 1
    } as Recorded
    this.entries.push(entry)
    recorded.push(entry)
    this.#aggregates.set(key, recorded)
    this.#messages.set(message, { at: this.#clock.now, entry })
    this.#onEntry(entry)
    for (const wake of this.#waiting.splice(0)) wake()
    return entry
  }

  /** Calls once when there is more than this. */
  whenBeyond(sequence: number, wake: () => void): void {
    if (this.entries.length > sequence) wake()
    else this.#waiting.push(wake)
  }
}
