import { Deferred, Effect, Metric, Schedule, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import type { RunningJob } from "../../domain/scheduling/open-jobs.ts"
import type { Desk } from "./desk.ts"
import { unreadable } from "./metrics.ts"
import { parkEntry } from "../park.ts"

/**
 * Follows the log in the background, new streams as they come. The effect that it answers ends when all is taken in that was
 * there at first.
 */
export const followLog = Effect.fnUntraced(function*(desk: Desk, pump: Effect.Effect<void>, alsoTo: (entry: LogEntry) => void) {
  const log = yield* EventLog
  const caughtUp = yield* Deferred.make<void>()
  const follow = (stream: string) => followStream(desk, stream, pump, alsoTo)
  const known = new Set(log.streams)
  yield* Effect.gen(function*() {
    for (const stream of known) if (log.isSealed(stream)) yield* Effect.flatten(follow(stream))
    const growing = yield* Effect.forEach([...known].filter((stream) => !log.isSealed(stream)), follow)
    yield* Effect.forEach(growing, (each) => each, { discard: true })
    yield* Deferred.succeed(caughtUp, undefined)
  }).pipe(Effect.forkScoped)
  yield* log.streamsAsTheyCome.pipe(Stream.filter((stream) => !known.has(stream)), Stream.runForEach(follow), Effect.forkScoped)
  return Deferred.await(caughtUp)
})

const followStream = Effect.fnUntraced(function*(desk: Desk, stream: string, pump: Effect.Effect<void>, alsoTo: (entry: LogEntry) => void) {
  const log = yield* EventLog
  const dispatch = yield* Dispatch
  const caughtUp = yield* Deferred.make<void>()
  const stop = ({ attempt, composeId, jobId, speaker, tenantId, token }: RunningJob) =>
    dispatch.stop(speaker, { tenantId, composeId, jobId, attempt, token }, true)

  yield* Effect.gen(function*() {
    const head = yield* log.head(stream)
    const look = Effect.suspend(() =>
      (desk.positions[stream] ?? 0) < head ? Effect.void : Effect.asVoid(Deferred.succeed(caughtUp, undefined)))
    yield* look
    yield* log.follow(stream, desk.positions[stream] ?? 0).pipe(
      Stream.runForEachArray((entries) =>
        Effect.gen(function*() {
          for (const entry of entries) {
            if (entry._tag === "Unreadable") {
              yield* Metric.update(unreadable, 1)
              yield* parkEntry("scheduler", entry)
            }
            const canceled = desk.record(entry, Date.now())
            alsoTo(entry)
            for (const job of canceled) yield* stop(job)
          }
          yield* look
          yield* pump
        }))
    )
  }).pipe(
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Effect.retry(Schedule.spaced("1 second")),
    Effect.forkScoped
  )
  return Deferred.await(caughtUp)
})
