/** Takes the log in, stream by stream: what is to be sent is stored together with the position after it. */
import { Deferred, Effect, Metric, Schedule, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { isOfPeriod } from "../../domain/periods.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import { catchUp } from "./catch-up.ts"
import { type Desk, store, storedOf } from "./desk.ts"
import { position } from "./metrics.ts"
import { Draft, isAbout, takeOrders, tell } from "./planning.ts"
import { isSame, wantedOf, type Watched, watchedOf } from "./watched.ts"

const batchSize = 500
const batchWithin = "5 millis"
/** A position that nothing came with may be written later: what comes after it is read again at a restart. */
const writeEvery = 1000

/** For as long as the same tenants are watched: then all streams are followed anew, each from where it was. */
interface Round {
  readonly watched: Watched
  readonly over: Deferred.Deferred<void>
  /** Streams that were open when it began. */
  readonly open: Set<string>
}

/** For ever. */
export const followLog = Effect.fnUntraced(function*(desk: Desk) {
  const log = yield* EventLog
  for (;;) {
    const round: Round = { watched: watchedOf(desk.directory.listening), over: yield* Deferred.make<void>(), open: new Set() }
    yield* log.streamsAsTheyCome.pipe(
      Stream.flatMap((stream) => Stream.fromEffect(takeStream(desk, round, stream)), { concurrency: "unbounded" }),
      Stream.runDrain, Effect.raceFirst(Deferred.await(round.over)))
  }
})

const takeStream = Effect.fnUntraced(function*(desk: Desk, round: Round, stream: string) {
  const log = yield* EventLog
  const [after, only] = [desk.positions.get(stream) ?? 0, wantedOf(round.watched)]
  if (!log.isSealed(stream)) {
    round.open.add(stream)
    return yield* log.follow(stream, after, only).pipe(
      Stream.groupedWithin(batchSize, batchWithin), Stream.runForEach((entries) => takeIn(desk, round, stream, entries)))
  }
  if (desk.finished.has(stream)) return
  const upTo = yield* log.head(stream)
  yield* log.scan(stream, { after, upTo, only }).pipe(Stream.grouped(batchSize), Stream.runForEach((entries) => takeIn(desk, round, stream, entries)))
  yield* inTurn(desk, round, Effect.gen(function*() {
    if (storedOf(desk, stream).position < upTo) yield* store(desk, stream, upTo, new Draft(desk.deployment))
    desk.positions.set(stream, upTo)
    desk.finished.add(stream)
  }))
})

/** Nothing of a round happens after its end, and none ends while something is being stored. */
const inTurn = <A, E, R>(desk: Desk, { over }: Round, effect: Effect.Effect<A, E, R>) =>
  desk.planning.withPermits(1)(Effect.suspend(() => Deferred.isDoneUnsafe(over) ? Effect.void : Effect.asVoid(effect)))

const takeIn = Effect.fnUntraced(function*(desk: Desk, round: Round, stream: string, entries: ReadonlyArray<LogEntry>) {
  yield* sealedFirst(desk, round, stream)
  yield* inTurn(desk, round, Effect.gen(function*() {
    const { draft, upTo } = yield* draftOf(desk, round, entries)
    if (!draft.isEmpty || draft.now - storedOf(desk, stream).at > writeEvery) yield* store(desk, stream, upTo, draft)
    desk.positions.set(stream, upTo)
    yield* Metric.update(Metric.withAttributes(position, { stream }), upTo)
    if (!isSame(round.watched, watchedOf(desk.directory.listening))) yield* Deferred.succeed(round.over, undefined)
  }))
})

/** What aggregates of a sealed stream decide later lies in one that never ends: not before the sealed one is taken in. */
const sealedFirst = Effect.fnUntraced(function*(desk: Desk, round: Round, stream: string) {
  const log = yield* EventLog
  if (isOfPeriod(stream)) return
  const sealed = log.streams.filter((each) => log.isSealed(each) && !desk.finished.has(each))
  // Who follows does not hear that nothing more is coming; who reads up to the end does.
  if (sealed.some((each) => round.open.has(each))) yield* inTurn(desk, round, Deferred.succeed(round.over, undefined))
  yield* Effect.sync(() => sealed.every((each) => desk.finished.has(each))).pipe(
    Effect.repeat({ until: (done) => done, schedule: Schedule.spaced("50 millis") }))
})

/** Ends with the entry that changes who is watched: what comes after it is not all there. */
const draftOf = Effect.fnUntraced(function*(desk: Desk, round: Round, entries: ReadonlyArray<LogEntry>) {
  const draft = new Draft(desk.deployment)
  for (const entry of entries) {
    if (!isAbout(entry)) continue
    if (entry.aggregate !== "webhooks") {
      yield* tell(desk, draft, entry)
      continue
    }
    desk.directory.take(entry)
    takeOrders(draft, entry)
    yield* tell(desk, draft, entry)
    yield* catchUp(desk, round.watched, entry)
    if (!isSame(round.watched, watchedOf(desk.directory.listening))) return { draft, upTo: entry.position.sequence }
  }
  return { draft, upTo: entries.at(-1)!.position.sequence }
})
