/** What is sent, as long as it is likely to be sent soon; the rest is read from where it is stored. Least recently used go first. */
export class Bodies {
  readonly #bodies = new Map<string, string>()
  #size = 0
  readonly #largest: number

  constructor(largest = 32 * 2 ** 20) {
    this.#largest = largest
  }

  get(key: string): string | undefined {
    return this.#bodies.get(key)
  }

  set(key: string, body: string): void {
    if (this.#bodies.has(key)) return
    this.#bodies.set(key, body)
    this.#size += body.length
    while (this.#size > this.#largest && this.#bodies.size > 1) {
      const [oldest, text] = this.#bodies.entries().next().value!
      this.#bodies.delete(oldest)
      this.#size -= text.length
    }
  }
}
