/** Keeps a program running: one that ends by itself is started again, after longer and longer pauses. */
import { Duration, Effect, Exit, Fiber, Scope } from "effect"
import { poll } from "../../infra/process/poll.ts"

/** One run of the program. */
export interface Run {
  readonly pid: number
  /** Answers with the reason when the program has ended. */
  readonly ended: Effect.Effect<string>
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly stop: Effect.Effect<void>
}

export interface Supervised {
  readonly name: string
  /** Of the run at present. */
  readonly pid: number
  /** How often it was started. */
  readonly starts: number
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Asks it to end and starts it again at once; answers when the new one runs. */
  readonly restart: Effect.Effect<void>
  /** For good. */
  readonly stop: Effect.Effect<void>
}

export interface Program<E> {
  readonly name: string
  readonly start: Effect.Effect<Run, E, Scope.Scope>
  readonly say: (line: string) => void
}

const pauses = { first: 100, longest: 10_000, forgiven: 30_000 }

/** Fails only when the first start does. The caller stops it. */
export const supervise = Effect.fnUntraced(function*<E extends { readonly message: string }>({ name, say, start }: Program<E>) {
  const launch = Effect.suspend(() => {
    const scope = Scope.makeUnsafe()
    return start.pipe(
      Scope.provide(scope),
      Effect.onError((cause) => Scope.close(scope, Exit.failCause(cause))),
      Effect.map((run) => ({ run, scope, since: Date.now() }))
    )
  })
  const state = { current: yield* launch, starts: 1, asked: false }

  const again = Effect.fnUntraced(function*(firstPause: number) {
    let pause = firstPause
    for (;;) {
      yield* Effect.sleep(pause)
      const next = yield* Effect.result(launch)
      if (next._tag === "Success") {
        state.current = next.success
        state.starts += 1
        return pause
      }
      pause = longer(pause)
      say(`${name} does not start: ${next.failure.message}; trying again in ${inWords(pause)}`)
    }
  })

  const keep = Effect.gen(function*() {
    let pause = pauses.first
    for (;;) {
      const { run, scope, since } = state.current
      const why = yield* run.ended
      yield* Scope.close(scope, Exit.void)
      const asked = state.asked
      state.asked = false
      if (Date.now() - since > pauses.forgiven) pause = pauses.first
      if (!asked) say(`${name} ended (${why}); starting it again in ${inWords(pause)}`)
      pause = asked ? (yield* again(0), pauses.first) : longer(yield* again(pause))
    }
  })
  const keeper = yield* Effect.forkDetach(keep)

  const supervised: Supervised = {
    name,
    get pid() {
      return state.current.run.pid
    },
    get starts() {
      return state.starts
    },
    kill: (signal) => Effect.suspend(() => state.current.run.kill(signal)),
    restart: Effect.suspend(() => {
      const before = state.starts
      state.asked = true
      return Effect.andThen(state.current.run.stop, poll(5, () => (state.starts > before ? true : undefined)))
    }).pipe(Effect.asVoid),
    stop: Effect.suspend(() => Fiber.interrupt(keeper)).pipe(
      Effect.andThen(Effect.suspend(() => state.current.run.stop)),
      Effect.andThen(Effect.suspend(() => Scope.close(state.current.scope, Exit.void)))
    )
  }
  return supervised
})

const longer = (pause: number) => Math.min(Math.max(pause, pauses.first) * 2, pauses.longest)
const inWords = (millis: number) => Duration.format(Duration.millis(millis))
