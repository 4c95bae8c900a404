import { Context } from "effect"
import type { Spent } from "../spent.ts"

/** Sums up what one attempt uses. Whoever uses something for it says so, as often as he likes. */
export class Meter {
  #cpuMs = 0
  #cloudCalls = 0
  #bytesSent = 0
  readonly #sending = new Set<() => number>()

  readonly cpu = (ms: number): void => {
    this.#cpuMs += ms
  }

  readonly cloudCall = (): void => {
    this.#cloudCalls += 1
  }

  /** What is on its way counts as far as it has come: an attempt may end before its last requests do. Answers with what to call at its end. */
  readonly sending = (soFar: () => number): (() => void) => {
    this.#sending.add(soFar)
    return () => {
      if (this.#sending.delete(soFar)) this.#bytesSent += soFar()
    }
  }

  /** Nothing where nothing was used. */
  get spent(): Spent | undefined {
    const onTheWay = [...this.#sending].reduce((sum, soFar) => sum + soFar(), 0)
    const [cpuMs, cloudCalls, bytesSent] = [Math.round(this.#cpuMs), this.#cloudCalls, this.#bytesSent + onTheWay]
    if (cpuMs === 0 && cloudCalls === 0) return undefined
    return { ...(cpuMs > 0 && { cpuMs }), ...(cloudCalls > 0 && { cloudCalls }), ...(bytesSent > 0 && { bytesSent }) }
  }
}

/** That of the attempt at hand; whatever is done for none is not measured. */
export const AttemptMeter = Context.Reference<Meter | undefined>("domain/ports/AttemptMeter", { defaultValue: () => undefined })
