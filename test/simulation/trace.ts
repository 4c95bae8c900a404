/** What has happened: the last steps for people, and a hash of all of them to tell two runs apart. */
const kept = 40

export class Trace {
  readonly #last: Array<string> = []
  #begun = 0
  steps = 0
  #hash = 2_166_136_261

  step(now: number, who: string, what: string): void {
    if (this.#begun === 0) this.#begun = now
    const text = `${now - this.#begun} ${who} ${what}`
    for (let at = 0; at < text.length; at++) this.#hash = Math.imul(this.#hash ^ text.charCodeAt(at), 16_777_619)
    this.#last[this.steps % kept] = text
    this.steps += 1
  }

  get hash(): string {
    return (this.#hash >>> 0).toString(16).padStart(8, "0")
  }

  get last(): ReadonlyArray<string> {
    const from = this.steps % kept
    return [...this.#last.slice(from), ...this.#last.slice(0, from)]
  }
}
