/** Feeds all read models from one stream: entries are read once, and go into all tables in one transaction. */
import { Effect, FiberSet, Latch, Queue, Schedule, Semaphore, Stream } from "effect"
import { EventLog, type LogUnavailable } from "../../domain/ports/event-log.ts"
import type { ParkedUnavailable } from "../../domain/ports/parked.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import type { Projection } from "../../projections/projection.ts"
import { type CheckpointMoved, ProjectionStore, type Share, type StoreUnavailable } from "../../projections/projection-store.ts"
import { measure } from "./metrics.ts"
import { parkPoisons } from "./poison.ts"
import { takeRange } from "./replay-part.ts"
import { type Lags, Waiting } from "./waiting.ts"

const batchSize = 1000
/** Nobody sees a row so soon; each transaction is work for Postgres, however little is in it. */
const batchesApart = "20 millis"
/** So few entries that the others can wait until they are taken. */
const near = 1000

/**
 * Goes on for ever. A read model that is behind, whose table somebody holds, or for which Postgres refuses a row, takes
 * what it lacks by itself and comes back: the others do not wait for it.
 */
export const feed = Effect.fn("feed")(function*(projections: Iterable<Projection>, stream: string, lags: Lags) {
  const log = yield* EventLog
  const store = yield* ProjectionStore
  const together = new Map<Projection, number>()
  const waiting = new Waiting()
  /** Those that take what they lack by themselves, with the time of its first entry. */
  const behind = new Map<Projection, number>()
  const someone = yield* Latch.make()
  const turn = yield* Semaphore.make(1)
  const apart = yield* FiberSet.make<void, CheckpointMoved | LogUnavailable | StoreUnavailable | ParkedUnavailable>()
  lags.works(stream, (projection) => behind.get(projection) ?? waiting.since)
  const checkpoints = yield* Effect.forEach(projections, (projection) =>
    Effect.map(store.checkpoint(projection, "live", stream), (after) => ({ projection, after })))
  let position = Math.max(0, ...checkpoints.map(({ after }) => after))

  const join = ({ after, projection }: Share) => {
    together.set(projection, after)
    behind.delete(projection)
    return someone.open
  }

  const catchUp = Effect.fnUntraced(function*(projection: Projection) {
    for (let joined = false; !joined;) {
      const after = yield* store.checkpoint(projection, "live", stream)
      if (position - after > near) yield* takeRange(projection, "live", { stream, after, upTo: position })
      else {
        joined = yield* turn.withPermit(Effect.gen(function*() {
          yield* takeRange(projection, "live", { stream, after, upTo: position })
          yield* join({ projection, after: Math.max(after, position) })
          return true
        }))
      }
    }
  })

  const leave = (projection: Projection) => {
    together.delete(projection)
    behind.set(projection, waiting.since ?? Date.now())
    if (together.size === 0) someone.closeUnsafe()
    const untilJoined = catchUp(projection).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message, { projection: projection.name, error: error._tag })),
      Effect.retry(Schedule.spaced("500 millis"))
    )
    return Effect.asVoid(FiberSet.run(apart, untilJoined))
  }

  /** One table that refuses its rows must not keep the others back: then each is tried alone. */
  const oneByOne = Effect.fnUntraced(function*(shares: ReadonlyArray<Share>, upTo: number, entries: ReadonlyArray<LogEntry>) {
    const results = yield* Effect.forEach(shares, ({ after, projection }) =>
      Effect.result(store.apply(projection, "live", { stream, after, upTo, entries })))
    return {
      poisons: new Map(shares.flatMap(({ projection }, at) => results[at]!._tag === "Success" ? [[projection, results[at]!.success] as const] : [])),
      left: shares.filter((_, at) => results[at]!._tag === "Failure").map(({ projection }) => projection)
    }
  })

  const take = Effect.fnUntraced(function*(entries: ReadonlyArray<LogEntry>) {
    const upTo = entries.at(-1)!.position.sequence
    const shares = [...together].map(([projection, after]) => ({ projection, after })).filter(({ after }) => after < upTo)
    const { left, poisons } = yield* store.applyTogether(shares, { stream, upTo, entries }).pipe(
      Effect.catchTag("StoreUnavailable", (error: StoreUnavailable) =>
        Effect.andThen(Effect.logWarning(error.message, { stream }), oneByOne(shares, upTo, entries))))
    position = upTo
    for (const [projection, found] of poisons) {
      together.set(projection, upTo)
      yield* parkPoisons(projection, found)
      yield* measure(projection, "live", entries.length, entries.at(-1)!.position)
    }
    yield* Effect.forEach(left, leave, { discard: true })
    waiting.taken(upTo)
  })

  for (const share of checkpoints) yield* share.after === position ? join(share) : leave(share.projection)
  const entries = yield* Queue.bounded<LogEntry>(batchSize)
  const follow = Stream.runForEachArray(log.follow(stream, position), (some) => {
    waiting.heard(some, Date.now())
    return Queue.offerAll(entries, some)
  })
  const takeNext = Effect.gen(function*() {
    yield* someone.await
    const next = yield* Queue.takeBetween(entries, 1, batchSize)
    yield* turn.withPermit(take(next))
  })
  const takeAll = Effect.forever(Effect.all([takeNext, Effect.sleep(batchesApart)], { concurrency: 2, discard: true }))
  yield* Effect.all([follow, takeAll, FiberSet.join(apart)], { concurrency: "unbounded", discard: true })
}, Effect.scoped)
