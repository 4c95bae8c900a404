/** First in, first out, with a place at the front for what comes back. Mutable: it holds a million entries. */
export class Fifo<A> {
  #items: Array<A> = []
  #head = 0

  get size(): number {
    return this.#items.length - this.#head
  }

  push(item: A): void {
    this.#items.push(item)
  }

  unshift(item: A): void {
    if (this.#head > 0) this.#items[--this.#head] = item
    else this.#items.unshift(item)
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
}
