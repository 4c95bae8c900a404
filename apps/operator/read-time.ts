import { Clock, Effect, Option } from "effect"
import { commandFailed } from "./command-failed.ts"
import { readMoment } from "./moments.ts"

/** A flag's time as RFC 3339, or a sentence about what can be said. */
export const readTime = Effect.fnUntraced(function*(flag: string, text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const read = readMoment(text.value, yield* Clock.currentTimeMillis)
  if (read !== undefined) return read
  return yield* commandFailed("invalid", `${flag} ${text.value} is no time: say 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago`)
})
