/** How messages fare on their way. Without faults they take a moment and arrive once. */
import type { Random } from "../chaos/random.ts"

export class Network {
  faulty = true
  readonly #random: Random
  readonly #worst: number

  constructor(random: Random) {
    this.#random = random
    // Some networks are quick, some are not; messages overtake each other on all.
    this.#worst = random.pick([5, 50, 1500])
  }

  delay(): number {
    return this.#random.between(1, this.faulty ? this.#worst : 5)
  }

  loses(): boolean {
    return this.faulty && this.#random.chance(0.02)
  }

  doubles(): boolean {
    return this.faulty && this.#random.chance(0.03)
  }
}
