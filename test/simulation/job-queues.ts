/** Workers' queues, as the work stream keeps them: what is not acknowledged comes again. */
import { type Lying, type Speaker, speakerKey, type WorkItem } from "../../domain/work.ts"
import type { Clock } from "./clock.ts"

export const beginWithinMs = 15_000

interface Item {
  readonly item: WorkItem
  readonly speaker: Speaker
  readonly sequence: number
  visibleAt: number
}

export class JobQueues {
  readonly #queues = new Map<string, Array<Item>>()
  readonly #messages = new Map<string, number>()
  readonly #clock: Clock

  constructor(clock: Clock) {
    this.#clock = clock
  }

  put(speaker: Speaker, item: WorkItem, messageId: string): number {
    const known = this.#messages.get(messageId)
    if (known !== undefined) return known
    const sequence = this.#messages.size + 1
    this.#messages.set(messageId, sequence)
    this.#of(speaker).push({ item, speaker, sequence, visibleAt: 0 })
    return sequence
  }

  /** The next of a kind that the worker has room for. */
  take(speaker: Speaker, hasRoom: (item: WorkItem) => boolean): Item | undefined {
    const found = this.#of(speaker).find(({ item, visibleAt }) => visibleAt <= this.#clock.now && hasRoom(item))
    if (found !== undefined) found.visibleAt = this.#clock.now + beginWithinMs
    return found
  }

  acknowledge(taken: Item): void {
    const queue = this.#of(taken.speaker)
    if (queue.includes(taken)) queue.splice(queue.indexOf(taken), 1)
  }

  withdraw(sequences: ReadonlyArray<number>): void {
    const gone = new Set(sequences)
    for (const [key, queue] of this.#queues) this.#queues.set(key, queue.filter(({ sequence }) => !gone.has(sequence)))
  }

  get lying(): ReadonlyArray<Lying> {
    return [...this.#queues.values()].flat().map(({ item: { attempt, composeId, jobId, tenantId }, sequence, speaker }) =>
      ({ tenantId, composeId, jobId, attempt, speaker, sequence }))
  }

  #of(speaker: Speaker): Array<Item> {
    const key = speakerKey(speaker)
    const queue = this.#queues.get(key) ?? []
    this.#queues.set(key, queue)
    return queue
  }
}
