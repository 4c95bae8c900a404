/** Makes the streams of a period before it begins, and puts those of one that is over into the archive. */
import { Effect, Metric, Stream } from "effect"
import { OpenComposes } from "../../domain/open-composes.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type LogStream, Periods } from "../../domain/ports/periods.ts"
import { parkEntry } from "../park.ts"
import { logStreams } from "./metrics.ts"

export interface PeriodsKeeperOptions {
  readonly everyMs: number
  /** So long after its end a period is sealed, when all of its composes have ended. */
  readonly graceMs: number
  readonly isHeld: () => boolean
}

/** What keeps a stream from being sealed; `open` has what was seen the last time. */
export const openIn = Effect.fnUntraced(function*(stream: string, open = new OpenComposes()) {
  const log = yield* EventLog
  const upTo = yield* log.head(stream)
  yield* Stream.runForEach(log.scan(stream, { after: open.position, upTo }), (entry) => Effect.sync(() => open.record(entry)))
  return open
})

/** From wherever it is, for as long as we may. */
export const archiveStream = Effect.fnUntraced(function*({ state, stream }: LogStream, isHeld: () => boolean = () => true) {
  const periods = yield* Periods
  const steps = [["open", periods.seal], ["sealed", periods.archive], ["archived", periods.drop]] as const
  for (const [, step] of steps.slice(steps.findIndex(([from]) => from === state))) {
    if (isHeld()) yield* step(stream)
  }
})

/** Works for ever. */
export const keepPeriods = ({ everyMs, graceMs, isHeld }: PeriodsKeeperOptions) => {
  const looked = new Map<string, OpenComposes>()

  const advance = Effect.fnUntraced(function*(of: LogStream) {
    const { period, state, stream } = of
    if (period === undefined || state === "dropped" || !(yield* Periods).canArchive || Date.now() < period.to + graceMs) return
    if (state === "open") {
      const known = looked.get(stream) ?? new OpenComposes()
      looked.set(stream, known)
      const seen = known.unreadable.length
      yield* openIn(stream, known)
      const { size, unreadable } = known
      for (const entry of unreadable.slice(seen)) yield* parkEntry(`archive of ${stream}`, entry)
      if (size + unreadable.length > 0) {
        return yield* Effect.logDebug("a period that is over waits for composes that have not ended, or has entries that nobody can read", { stream, open: size, unreadable: unreadable.length })
      }
    }
    yield* archiveStream(of, isHeld)
    looked.delete(stream)
    yield* Effect.logInfo("a period is in the archive, and off the server", { stream })
  }, Effect.catch((error) => Effect.logWarning("a period waits to be archived", { error: error.message })))

  const look = Effect.gen(function*() {
    const periods = yield* Periods
    if (!isHeld()) return
    yield* periods.prepare
    const streams = yield* periods.list
    yield* Effect.forEach(streams, advance, { discard: true })
    const counts = Map.groupBy(yield* periods.list, ({ state }) => state)
    yield* Effect.forEach(["open", "sealed", "archived", "dropped"] as const, (state) =>
      Metric.update(Metric.withAttributes(logStreams, { state }), counts.get(state)?.length ?? 0), { discard: true })
  }).pipe(Effect.catchCause((cause) => Effect.logWarning("the streams of the log could not be looked after", cause)))

  return Effect.forever(Effect.delay(look, everyMs))
}
