/** When an attempt's start is told: at once, or, where attempts end sooner than anybody can look, together with its end. */
import { Effect, Fiber } from "effect"
import type { JobKind } from "../../domain/job.ts"

const shortMs = 100
const holdMs = 100

/** How long attempts of each kind take here. */
export class Durations {
  readonly #means = new Map<JobKind, number>()

  add(kind: JobKind, ms: number): void {
    const mean = this.#means.get(kind) ?? ms
    this.#means.set(kind, mean + (ms - mean) / 8)
  }

  /** How long a start may wait for its end. */
  hold(kind: JobKind): number {
    return (this.#means.get(kind) ?? Infinity) < shortMs ? holdMs : 0
  }
}

export class Beginning {
  #isOver = false
  #telling: Fiber.Fiber<void> | undefined
  readonly #tell: Effect.Effect<void>

  private constructor(tell: Effect.Effect<void>) {
    this.#tell = tell
  }

  static readonly make = Effect.fnUntraced(function*(hold: number, tell: Effect.Effect<void>) {
    const beginning = new Beginning(tell)
    if (hold === 0) yield* beginning.#begin
    else yield* Effect.forkChild(Effect.andThen(Effect.sleep(hold), Effect.suspend(() => beginning.#telling === undefined && !beginning.#isOver ? beginning.#begin : Effect.void)))
    return beginning
  })

  isTold(): boolean {
    return this.#telling !== undefined
  }

  /** Whether it is told, or being told. If not, it will not be any more. */
  end(): boolean {
    this.#isOver = true
    return this.isTold()
  }

  /** Ends when it is on record; tells it now if it waits. */
  get told(): Effect.Effect<void> {
    return Effect.suspend(() => this.#telling === undefined ? this.#begin : Effect.void).pipe(
      Effect.andThen(Effect.suspend(() => Fiber.join(this.#telling!))))
  }

  get #begin(): Effect.Effect<void> {
    return Effect.map(Effect.forkDetach(this.#tell), (fiber) => {
      this.#telling = fiber
    })
  }
}
