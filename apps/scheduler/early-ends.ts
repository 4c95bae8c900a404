/** Ends that were heard before their starts may wait for them, but no worker may fill the house with such. */
import { type Speaker, speakerKey } from "../../domain/work.ts"

/** What waits comes again after a second, so this is how many of one worker wait at once. */
const perSecond = 64
const windowMs = 1000
const workersKept = 10_000

export class EarlyEnds {
  readonly #windows = new Map<string, { readonly since: number; count: number }>()

  mayWait(speaker: Speaker, now: number): boolean {
    const key = speakerKey(speaker)
    const known = this.#windows.get(key)
    if (known !== undefined && now - known.since < windowMs) return ++known.count <= perSecond
    if (this.#windows.size >= workersKept) this.#windows.clear()
    this.#windows.set(key, { since: now, count: 1 })
    return true
  }
}
