/** Builds a part of a read model anew, or one of the past beside it. */
import { Effect, Stream } from "effect"
import type { TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { AggregateRef, LogEntry } from "../../domain/recorded.ts"
import { followsKind, type Projection } from "../../projections/projection.ts"
import { type Generation, ProjectionStore } from "../../projections/projection-store.ts"
import { measure } from "./metrics.ts"
import { parkPoisons, retryAggregate } from "./poison.ts"
import type { RebuildProgress } from "./rebuild.ts"

export type OnProgress = (progress: RebuildProgress) => Effect.Effect<void>

/** So many that most of a compose's life is one write of its row. */
const batchSize = 5000

interface Range {
  readonly stream: string
  readonly after: number
  readonly upTo: number
  readonly tenantId?: TenantId | undefined
  /** Nothing that happened later. */
  readonly until?: number | undefined
}

/** Takes a part of the log into a table that nobody else writes to; its checkpoint is the part's end. */
export const takeRange = Effect.fn("takeRange")(function*(
  projection: Projection, generation: Generation, { after, stream, tenantId, until = Infinity, upTo }: Range, onProgress: OnProgress = () => Effect.void
) {
  const log = yield* EventLog
  const store = yield* ProjectionStore
  let position = after
  const take = Effect.fnUntraced(function*(entries: ReadonlyArray<LogEntry>, to: number) {
    const poisons = yield* store.apply(projection, generation, { stream, after: position, upTo: to, entries })
    yield* parkPoisons(projection, poisons)
    position = to
    if (entries.length > 0) yield* measure(projection, generation, entries)
    yield* onProgress({ stream, position, head: upTo })
  })
  yield* log.scan(stream, { after, upTo, tenantId }).pipe(
    Stream.takeWhile((entry) => entry._tag === "Unreadable" || entry.at <= until),
    Stream.grouped(batchSize),
    // The next are read and decoded while Postgres writes.
    Stream.buffer({ capacity: 1 }),
    Stream.runForEach((entries) => take(entries, entries.at(-1)!.position.sequence))
  )
  if (position < upTo && until === Infinity) yield* take([], upTo)
})

/** A tenant's rows, built beside the live table and put in their place in one transaction. */
export const rebuildTenant = Effect.fn("rebuildTenant")(function*(projection: Projection, tenantId: TenantId, onProgress?: OnProgress) {
  const store = yield* ProjectionStore
  const log = yield* EventLog
  yield* store.discard(projection, "rebuild")
  yield* store.prepare(projection, "rebuild")
  for (const stream of log.streams) {
    yield* takeRange(projection, "rebuild", { stream, after: 0, upTo: yield* store.checkpoint(projection, "live", stream), tenantId }, onProgress)
  }
  yield* store.whileStill(projection, (positions) =>
    Effect.gen(function*() {
      yield* catchUp(projection, "rebuild", positions, tenantId)
      yield* store.replaceTenant(projection, tenantId)
    }))
}, (effect, projection, _tenantId, _onProgress?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`rebuild/${projection.name}`, effect)))

/** To exactly where the live table stands. */
export const catchUp = Effect.fnUntraced(function*(
  projection: Projection, generation: Generation, positions: ReadonlyMap<string, number>, tenantId?: TenantId
) {
  const store = yield* ProjectionStore
  for (const [stream, upTo] of positions) {
    const after = yield* store.checkpoint(projection, generation, stream)
    yield* takeRange(projection, generation, { stream, after, upTo, tenantId })
  }
})

/** A table beside the live one with the rows as they were at that time; it stays until the next is made. */
export const rebuildPast = Effect.fn("rebuildPast")(function*(projection: Projection, until: number, tenantId?: TenantId, onProgress?: OnProgress) {
  const store = yield* ProjectionStore
  const log = yield* EventLog
  yield* store.discard(projection, "past")
  yield* store.prepare(projection, "past")
  for (const stream of log.streams) {
    yield* takeRange(projection, "past", { stream, after: 0, upTo: yield* log.head(stream), until, tenantId }, onProgress)
  }
}, (effect, projection, _until, _tenantId?, _onProgress?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`rebuild/${projection.name}`, effect)))

/** Folds anew, each by itself and from its beginning, what has an entry after a position; answers how many, and what would not. */
export const refoldFrom = Effect.fn("refoldFrom")(function*(projection: Projection, from: number, tenantId?: TenantId, onProgress: OnProgress = () => Effect.void) {
  const log = yield* EventLog
  let refolded = 0
  const poisoned: Array<string> = []
  for (const stream of log.streams) {
    const head = yield* log.head(stream)
    const refs = new Map<string, { readonly ref: AggregateRef; readonly sequence: number }>()
    yield* Stream.runForEach(log.scan(stream, { after: from, upTo: head, tenantId }), (entry) =>
      Effect.sync(() => {
        const ref = entry._tag === "Recorded" ? entry : entry.ref
        if (ref === undefined || !followsKind(projection, ref.aggregate)) return
        const name = `${ref.tenantId}/${ref.aggregate}/${ref.id}`
        if (!refs.has(name)) refs.set(name, { ref: { tenantId: ref.tenantId, aggregate: ref.aggregate, id: ref.id }, sequence: entry.position.sequence })
      }))
    let done = 0
    for (const [name, { ref, sequence }] of refs) {
      const result = yield* retryAggregate(projection, { ref, stream, sequence, reason: "" })
      if (result._tag === "StillPoisoned") poisoned.push(`${name}: ${result.reason}`)
      else refolded += 1
      done += 1
      yield* onProgress({ stream, position: done, head: refs.size })
    }
  }
  return { refolded, poisoned }
})
