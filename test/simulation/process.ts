/** Processes that can die at any moment. What they do is told as generators: each `yield*` is a place to die at. */
import type { World } from "./world.ts"

type Wait = (resume: (answer: unknown) => void) => void
export type Task<A = void> = Generator<Wait, A, unknown>

export function* until<A>(start: (resume: (answer: A) => void) => void): Task<A> {
  return (yield start as Wait) as A
}

/** Whether it was done or not, nobody can tell. */
export type Unavailable = "unavailable"

const answerWithinMs = 5000

export abstract class Process {
  readonly world: World
  readonly name: string
  /** Cut off: it works on, and nothing goes in or out. */
  isCut = false
  isAlive = false
  #life = 0

  constructor(world: World, name: string) {
    this.world = world
    this.name = name
  }

  protected abstract begin(): void

  start(): void {
    if (this.isAlive) return
    this.#life += 1
    this.isAlive = true
    this.say("starts")
    this.begin()
  }

  kill(): void {
    if (!this.isAlive) return
    this.say("is killed")
    this.#life += 1
    this.isAlive = false
  }

  say(what: string): void {
    this.world.trace.step(this.world.clock.now, this.name, what)
  }

  /** Unless it has died by then. */
  after(millis: number, run: () => void): void {
    const life = this.#life
    this.world.clock.after(millis, () => {
      if (life === this.#life) run()
    })
  }

  spawn(task: Task): void {
    const life = this.#life
    const go = (answer: unknown) => {
      const next = task.next(answer)
      if (next.done === true) return
      // The first answer counts: a time-out may come after it.
      let answered = false
      next.value((answer) => {
        if (answered || life !== this.#life) return
        answered = true
        go(answer)
      })
    }
    go(undefined)
  }

  every(millis: number, task: () => Task): void {
    this.after(this.world.random.between(0, millis), () => this.spawn(this.#forever(millis, task)))
  }

  *#forever(millis: number, task: () => Task): Task {
    for (;;) {
      yield* task()
      yield* this.sleep(millis)
    }
  }

  *sleep(millis: number): Task {
    yield* until<void>((resume) => this.world.clock.after(millis, () => resume()))
  }

  /** Asks a server. While there are faults the way there, the way back, or both may fail, or the question arrives twice. */
  *call<A>(serve: () => A): Task<A | Unavailable> {
    return yield* until<A | Unavailable>((resume) => {
      const { clock, network } = this.world
      const lost = () => clock.after(answerWithinMs, () => resume("unavailable"))
      if (this.isCut || network.loses()) return lost()
      if (network.doubles()) clock.after(network.delay(), serve)
      clock.after(network.delay(), () => {
        const answer = serve()
        if (this.isCut || network.loses()) lost()
        else clock.after(network.delay(), () => resume(answer))
      })
    })
  }
}
