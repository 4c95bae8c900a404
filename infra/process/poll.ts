/** Waiting by the real clock: what a child process does is not on a test's virtual one. */
import { Effect } from "effect"

/** Asks at once and then every few milliseconds until there is an answer. */
export const poll = <A>(everyMillis: number, ask: () => A | undefined): Effect.Effect<A> =>
  Effect.callback((resume) => {
    const look = () => {
      const answer = ask()
      if (answer === undefined) return
      clearInterval(timer)
      resume(Effect.succeed(answer))
    }
    const timer = setInterval(look, everyMillis)
    look()
    return Effect.sync(() => clearInterval(timer))
  })

export const pause = (millis: number): Effect.Effect<void> =>
  Effect.callback((resume) => {
    const timer = setTimeout(() => resume(Effect.void), millis)
    return Effect.sync(() => clearTimeout(timer))
  })
