/** A binary heap, smallest first. */
export class Heap<A> {
  readonly #items: Array<A> = []
  readonly #before: (one: A, other: A) => boolean

  constructor(before: (one: A, other: A) => boolean) {
    this.#before = before
  }

  get size(): number {
    return this.#items.length
  }

  peek(): A | undefined {
    return this.#items[0]
  }

  push(item: A): void {
    this.#items.push(item)
    let at = this.#items.length - 1
    while (at > 0) {
      const parent = (at - 1) >> 1
      if (!this.#before(item, this.#items[parent]!)) break
      this.#items[at] = this.#items[parent]!
      at = parent
    }
    this.#items[at] = item
  }

  pop(): A | undefined {
    const first = this.#items[0]
    const last = this.#items.pop()
    if (this.#items.length > 0) this.#sink(last!)
    return first
  }

  /** The first one's place has changed. */
  settle(): void {
    if (this.#items.length > 0) this.#sink(this.#items[0]!)
  }

  #sink(item: A): void {
    let at = 0
    for (;;) {
      let child = 2 * at + 1
      if (child >= this.#items.length) break
      if (child + 1 < this.#items.length && this.#before(this.#items[child + 1]!, this.#items[child]!)) child += 1
      if (!this.#before(this.#items[child]!, item)) break
      this.#items[at] = this.#items[child]!
      at = child
    }
    this.#items[at] = item
  }

  [Symbol.iterator](): Iterator<A> {
    return this.#items[Symbol.iterator]()
  }
}
