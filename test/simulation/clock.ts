/** Time that passes only from one thing to the next: what is due first happens first, and ties in the order they were planned. */
import { Heap } from "../../domain/scheduling/heap.ts"

interface Due {
  readonly at: number
  readonly order: number
  readonly run: () => void
}

export class Clock {
  now = 1_790_000_000_000
  readonly #due = new Heap<Due>((one, other) => one.at < other.at || (one.at === other.at && one.order < other.order))
  #order = 0

  after(millis: number, run: () => void): void {
    this.#due.push({ at: this.now + millis, order: this.#order++, run })
  }

  /** Lets happen what is due by then. */
  runUntil(time: number): void {
    for (let next = this.#due.peek(); next !== undefined && next.at <= time; next = this.#due.peek()) {
      this.#due.pop()
      this.now = next.at
      next.run()
    }
    this.now = time
  }
}
