/** Ends a client in the middle of what it does: at one of its calls, which is carried out and never answered; later ones are not carried out. */
import type { Answer, Handler } from "./stand-in.ts"

export interface Stopping {
  readonly guard: (handle: Handler) => Handler
  /** Calls since the last `reset`. */
  readonly calls: () => number
  readonly reset: () => void
  /** Answers when the call of this number, the first is 1, has been carried out. */
  readonly at: (call: number) => Promise<void>
}

const never = () => new Promise<Answer>(() => {})

export const stopping = (): Stopping => {
  let [seen, last] = [0, Infinity]
  let stopped = () => {}
  return {
    guard: (handle) => async (request, body) => {
      const mine = ++seen
      if (mine > last) return never()
      const answer = await handle(request, body)
      if (mine < last) return answer
      stopped()
      return never()
    },
    calls: () => seen,
    reset: () => void ([seen, last] = [0, Infinity]),
    at: (call) => {
      [seen, last] = [0, call]
      return new Promise((resolve) => void (stopped = resolve))
    }
  }
}
