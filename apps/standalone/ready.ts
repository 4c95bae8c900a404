/** Waits until the gateway answers for everything behind it. */
import { Effect } from "effect"
import { logFile } from "./programs.ts"
import { startFailed } from "./start-failed.ts"
import type { Supervised } from "./supervise.ts"

/** One that ends again and again will not get better by waiting. */
const hopeless = 3

export const ready = Effect.fnUntraced(function*(url: string, home: string, processes: ReadonlyMap<string, Supervised>) {
  const asking = Effect.tryPromise((signal) => fetch(`${url}/readyz`, { signal })).pipe(
    Effect.timeout("3 seconds"),
    Effect.map(({ ok }) => ok),
    Effect.orElseSucceed(() => false)
  )
  const wait: Effect.Effect<void, ReturnType<typeof startFailed>> = Effect.gen(function*() {
    while (!(yield* asking)) {
      const failing = [...processes.values()].find(({ starts }) => starts > hopeless)
      if (failing !== undefined) {
        return yield* startFailed(`The ${failing.name} does not stay up; its log is ${logFile(home, failing.name)}`)
      }
      yield* Effect.sleep("25 millis")
    }
  })
  yield* wait.pipe(Effect.timeoutOrElse({
    duration: "60 seconds",
    orElse: () => startFailed(`Kiln did not get ready within a minute; its logs are in ${home}/logs`)
  }))
})
