/** What waits, in order. Most that come are the last, most that come back are among the first. Mutable: it holds a million. */
export class Waiting<A> {
  readonly #before: (one: A, other: A) => boolean
  #items: Array<A> = []
  #head = 0

  constructor(before: (one: A, other: A) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length - this.#head
  }

  /** Before all that it goes before, and behind its equals. */
  add(item: A): void {
    const items = this.#items
    const at = this.#placeOf(item)
    if (at === items.length) items.push(item)
    else if (this.#head > 0 && at - this.#head < items.length - at) {
      this.#head -= 1
      for (let to = this.#head; to < at - 1; to++) items[to] = items[to + 1]!
      items[at - 1] = item
    } else items.splice(at, 0, item)
  }

  peek(): A | undefined {
    return this.#items[this.#head]
  }

  shift(): A | undefined {
    if (this.#head === this.#items.length) return undefined
    const item = this.#items[this.#head]
    this.#items[this.#head] = undefined as never
    this.#head += 1
    // Moves at most as many entries as were taken since the last move.
    if (this.#head > 32 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head)
      this.#head = 0
    }
    return item
  }

  *[Symbol.iterator](): Iterator<A> {
    for (let at = this.#head; at < this.#items.length; at++) yield this.#items[at]!
  }

  #placeOf(item: A): number {
    let [low, high] = [this.#head, this.#items.length]
    if (low === high || !this.#before(item, this.#items[high - 1]!)) return high
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#before(item, this.#items[middle]!)) high = middle
      else low = middle + 1
    }
    return low
  }
}
