/** While nothing of a compose runs, what it waits for is asked for: its stream tells only what happens. */
import { Effect, Schedule } from "effect"
import type { ComposeDetails } from "../gateway/api/compose-views.ts"
import { Kiln } from "./client.ts"
import type { Live } from "./live.ts"

/** Most composes begin before anybody wonders. */
const first = "2 seconds"
const then = "5 seconds"

export const waitingWords = ({ jobs }: Pick<ComposeDetails, "jobs">): string | undefined =>
  jobs.flatMap(({ waiting_for }) => waiting_for?.message ?? []).at(0)

/** Ends with the compose's stream, which runs beside it; what cannot be asked now is asked later. */
export const followWaiting = Effect.fnUntraced(function*<R>(
  id: string,
  live: Effect.Effect<Live>,
  say: (words: string | undefined) => Effect.Effect<void, never, R>
) {
  const kiln = yield* Kiln
  const look = Effect.gen(function*() {
    if (!waits(yield* live)) return yield* say(undefined)
    const words = yield* kiln.json<ComposeDetails>(`/composes/${id}`).pipe(Effect.map(waitingWords), Effect.orElseSucceed(() => undefined))
    yield* say(waits(yield* live) ? words : undefined)
  })
  return yield* look.pipe(Effect.repeat(Schedule.spaced(then)), Effect.delay(first), Effect.andThen(Effect.never))
})

const waits = ({ ended, jobs }: Live): boolean => {
  const all = [...jobs.values()]
  return !ended && all.some(({ status }) => status === "queued") && !all.some(({ status }) => status === "running")
}
