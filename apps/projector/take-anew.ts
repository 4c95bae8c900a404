/** Takes a part of the log into a table whose rows may be wrong: whatever has an entry there is folded anew, from its own beginning. */
import { Effect, Result, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { AggregateRef, LogEntry, Recorded } from "../../domain/recorded.ts"
import { followsKind, type Projection } from "../../projections/projection.ts"
import { type Generation, ProjectionStore } from "../../projections/projection-store.ts"
import { measure } from "./metrics.ts"
import { parkPoisons } from "./poison.ts"
import type { OnProgress, Range } from "./replay-part.ts"

/** Fewer than elsewhere, since the whole life of each aggregate comes with them. */
const batchSize = 1000
const readAtOnce = 16
/** What is forgotten here is folded once more, to the same rows. */
const mostRemembered = 200_000

/** Remembers what it has folded, so that later parts of the log only go on with it. */
export const takingAnew = () => {
  const folded = new Set<string>()
  /** Their rows stay as they are, as those of the live table do. */
  const unreadable = new Set<string>()

  /** Decisions before the first of these entries, of every aggregate that is met for the first time. */
  const livesBefore = Effect.fnUntraced(function*(projection: Projection, entries: ReadonlyArray<LogEntry>) {
    const log = yield* EventLog
    const store = yield* ProjectionStore
    if (folded.size > mostRemembered) folded.clear()
    const met = new Map<string, Recorded>()
    for (const entry of entries) {
      if (entry._tag === "Unreadable" || !followsKind(projection, entry.aggregate)) continue
      const name = nameOf(entry)
      if (!folded.has(name) && !unreadable.has(name) && !met.has(name)) met.set(name, entry)
    }
    const lives = yield* Effect.forEach(met, Effect.fnUntraced(function*([name, first]) {
      if (first.revision === 1) return { name, first, before: [] }
      const read = yield* Effect.result(log.read(first))
      if (Result.isSuccess(read)) return { name, first, before: read.success.recorded.filter(({ revision }) => revision < first.revision) }
      const isKnown = (ref: AggregateRef | undefined) => ref !== undefined && nameOf(ref) === name
      const parked = yield* store.parked(projection)
      if (!parked.some(({ ref }) => isKnown(ref)) && !entries.some((entry) => entry._tag === "Unreadable" && isKnown(entry.ref))) return yield* read.failure
      unreadable.add(name)
      return undefined
    }), { concurrency: readAtOnce })
    return lives.filter((life) => life !== undefined)
  })

  return Effect.fn("takeAnew")(function*(
    projection: Projection, generation: Generation, { after, stream, tenantId, upTo }: Range, onProgress: OnProgress = () => Effect.void
  ) {
    const log = yield* EventLog
    const store = yield* ProjectionStore
    let position = after
    const take = Effect.fnUntraced(function*(entries: ReadonlyArray<LogEntry>, to: number) {
      const lives = yield* livesBefore(projection, entries)
      const batch = [
        ...lives.flatMap(({ before }) => before),
        ...entries.filter((entry) => entry._tag === "Unreadable" || !unreadable.has(nameOf(entry)))
      ]
      const anew = lives.map(({ first: { aggregate, id, tenantId } }) => ({ tenantId, aggregate, id }))
      const poisons = yield* store.apply(projection, generation, { stream, after: position, upTo: to, entries: batch, anew })
      for (const { name } of lives) folded.add(name)
      yield* parkPoisons(projection, poisons)
      position = to
      if (entries.length > 0) yield* measure(projection, generation, entries.length, entries.at(-1)!.position)
      yield* onProgress({ stream, position, head: upTo })
    })
    yield* onProgress({ stream, position, head: upTo })
    yield* log.scan(stream, { after, upTo, tenantId }).pipe(
      Stream.grouped(batchSize), Stream.buffer({ capacity: 1 }),
      Stream.runForEach((entries) => take(entries, entries.at(-1)!.position.sequence))
    )
    if (position < upTo) yield* take([], upTo)
  })
}

const nameOf = ({ aggregate, id, tenantId }: AggregateRef) => `${tenantId}/${aggregate}/${id}`
