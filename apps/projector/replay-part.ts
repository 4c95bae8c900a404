/** Builds a part of a read model anew, or one of the past beside it. */
import { Effect, Fiber, Stream } from "effect"
import type { TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Projection } from "../../projections/projection.ts"
import { type Generation, type Part, ProjectionStore, StoreUnavailable } from "../../projections/projection-store.ts"
import { measure } from "./metrics.ts"
import { forgetMended, parkPoisons } from "./poison.ts"
import type { RebuildProgress } from "./rebuild.ts"
import { takingAnew } from "./take-anew.ts"

export type OnProgress = (progress: RebuildProgress) => Effect.Effect<void>

/** So many that most of a compose's life is one write of its row. */
const rowsAtOnce = 4000
/** Where few rows change often: what is done is to be seen, and not to be lost. */
const entriesAtOnce = 20_000

export interface Range {
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
  const filling = yield* (yield* ProjectionStore).filling(projection, generation, { stream, after })
  const write = Effect.fnUntraced(function*(position: number, entries: number) {
    yield* parkPoisons(projection, yield* filling.write(position))
    if (entries > 0) yield* measure(projection, generation, entries, { stream, sequence: position })
    yield* onProgress({ stream, position, head: upTo })
  })
  let [position, written, unwritten] = [after, after, 0]
  let writing: Effect.Effect<void, Effect.Error<ReturnType<typeof write>>> = Effect.void
  yield* onProgress({ stream, position, head: upTo })
  yield* log.scan(stream, { after, upTo, tenantId }).pipe(
    Stream.takeWhile((entry) => entry._tag === "Unreadable" || entry.at <= until),
    Stream.runForEachArray(Effect.fnUntraced(function*(entries) {
      yield* filling.take(entries)
      position = entries.at(-1)!.position.sequence
      unwritten += entries.length
      if (filling.rowsWaiting() < rowsAtOnce && unwritten < entriesAtOnce) return
      yield* writing
      // The next are read and folded while Postgres writes.
      writing = Fiber.join(yield* Effect.forkChild(write(position, unwritten)))
      ;[written, unwritten] = [position, 0]
    }))
  )
  yield* writing
  if (until === Infinity) position = upTo
  if (written < position) yield* write(position, unwritten)
})

/**
 * A tenant's rows, built beside the live table and put in their place in one transaction; `from`: only what has entries after
 * these places of streams. Started again, it goes on.
 */
export const rebuildTenant = Effect.fn("rebuildTenant")(function*(projection: Projection, { tenantId, ...part }: TenantPart, onProgress?: OnProgress) {
  const store = yield* ProjectionStore
  const log = yield* EventLog
  const { outdated } = yield* store.prepare(projection, "rebuild", { ...part, tenantId })
  if (outdated) return yield* notInPart(projection)
  const take = part.from === undefined ? takeRange : takingAnew()
  const places = Effect.forEach(log.streams, (stream) => Effect.map(store.checkpoint(projection, "live", stream), (position) => [stream, position] as const))
  yield* catchUp(projection, "rebuild", new Map(yield* places), { tenantId, take, onProgress })
  yield* store.whileStill(projection, (positions) =>
    Effect.gen(function*() {
      yield* catchUp(projection, "rebuild", positions, { tenantId, take })
      yield* store.replaceTenant(projection, tenantId)
    }))
  yield* forgetMended(projection)
}, (effect, projection, _part, _onProgress?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`rebuild/${projection.name}`, effect)))

type TenantPart = Part & { readonly tenantId: TenantId }

/** To exactly where the live table stands. */
export const catchUp = Effect.fnUntraced(function*(
  projection: Projection, generation: Generation, positions: ReadonlyMap<string, number>,
  { onProgress, take = takeRange, tenantId }: { readonly tenantId?: TenantId; readonly take?: Take; readonly onProgress?: OnProgress | undefined } = {}
) {
  const store = yield* ProjectionStore
  const log = yield* EventLog
  // What is sealed first: what came of it later lies in the others.
  for (const stream of new Set([...log.streams, ...positions.keys()])) {
    const [after, upTo = 0] = [yield* store.checkpoint(projection, generation, stream), positions.get(stream)]
    if (after < upTo) yield* take(projection, generation, { stream, after, upTo, tenantId }, onProgress)
  }
})

type Take = ReturnType<typeof takingAnew>

/** A table beside the live one with the rows as they were at that time; it stays until the next is made. Started again, it goes on. */
export const rebuildPast = Effect.fn("rebuildPast")(function*(projection: Projection, until: number, tenantId?: TenantId, onProgress?: OnProgress) {
  const store = yield* ProjectionStore
  const log = yield* EventLog
  yield* store.prepare(projection, "past", { name: `until ${until}${tenantId === undefined ? "" : ` of ${tenantId}`}` })
  for (const stream of log.streams) {
    const after = yield* store.checkpoint(projection, "past", stream)
    yield* takeRange(projection, "past", { stream, after, upTo: yield* log.head(stream), until, tenantId }, onProgress)
  }
}, (effect, projection, _until, _tenantId?, _onProgress?) => Effect.flatMap(ProjectionStore, (store) => store.alone(`rebuild/${projection.name}`, effect)))

/** Rows of two versions do not go into one table. */
export const notInPart = ({ name }: Projection) =>
  new StoreUnavailable({ message: `the live table of ${name} is not there, or of another version, and can only be built anew as a whole, as the projector does when it starts` })
