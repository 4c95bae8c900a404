/** Places in the log as people name them: a sequence, a stream and a sequence, or a time. */
import { Clock, Effect, Option, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { commandFailed } from "./command-failed.ts"
import { readMoment } from "./moments.ts"

/** `EVENTS:17`, or `17` of whatever stream. */
export const placeIn = (text: string) => {
  const parts = /^(?:([A-Z][A-Za-z0-9_-]*):)?(\d{1,15})$/.exec(text)
  return parts === null ? undefined : { stream: parts[1], sequence: Number(parts[2]) }
}

/** The sequence after which to read a stream; a stream that another one was named for is not read. */
export const beginningAt = Effect.fnUntraced(function*(from: Option.Option<string>) {
  const log = yield* EventLog
  if (Option.isNone(from)) return (stream: string) => log.head(stream)
  const place = placeIn(from.value)
  if (place !== undefined) {
    return (stream: string) => Effect.succeed(place.stream === undefined || place.stream === stream ? Math.max(0, place.sequence - 1) : undefined)
  }
  const time = readMoment(from.value, yield* Clock.currentTimeMillis)
  if (time === undefined) {
    return yield* commandFailed("invalid", `--from ${from.value} is no place in the log: say 17, EVENTS:17, 2026-01-31T12:00:00Z, or 2h for two hours ago`)
  }
  return (stream: string) => before(stream, Date.parse(time))
})

/** By halves: times grow along a stream, but for the little by which clocks of processes differ. */
const before = Effect.fnUntraced(function*(stream: string, time: number) {
  const log = yield* EventLog
  let [low, high] = [0, yield* log.head(stream)]
  while (low < high) {
    const middle = Math.floor((low + high) / 2)
    const at = yield* timeAfter(stream, middle, high)
    if (at !== undefined && at < time) low = middle + 1
    else high = middle
  }
  return low
})

/** Of the next entry that says one. */
const timeAfter = (stream: string, after: number, upTo: number) =>
  Effect.flatMap(EventLog, (log) => log.scan(stream, { after, upTo }).pipe(
    Stream.filter((entry) => entry._tag === "Recorded"), Stream.runHead,
    Effect.map((found) => Option.isSome(found) ? found.value.at : undefined)))
