import { Context } from "effect"
import type { Spent } from "../spent.ts"

/** Sums up what one attempt uses. Whoever uses something for it says so, as often as he likes. */
export class Meter {
  #cpuMs = 0
  #cloudCalls = 0

  readonly cpu = (ms: number): void => {
    this.#cpuMs += ms
  }

  readonly cloudCall = (): void => {
    this.#cloudCalls += 1
  }

  /** Nothing where nothing was used. */
  get spent(): Spent | undefined {
    const [cpuMs, cloudCalls] = [Math.round(this.#cpuMs), this.#cloudCalls]
    return cpuMs === 0 && cloudCalls === 0 ? undefined : { ...(cpuMs > 0 && { cpuMs }), ...(cloudCalls > 0 && { cloudCalls }) }
  }
}

/** That of the attempt at hand; whatever is done for none is not measured. */
export const AttemptMeter = Context.Reference<Meter | undefined>("domain/ports/AttemptMeter", { defaultValue: () => undefined })
