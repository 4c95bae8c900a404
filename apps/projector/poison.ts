/** What a projection cannot take in is put aside with its aggregate; all others go on. */
import { Effect } from "effect"
import { EventLog, type LogUnavailable } from "../../domain/ports/event-log.ts"
import { Parked, type ParkedUnavailable } from "../../domain/ports/parked.ts"
import type { Projection } from "../../projections/projection.ts"
import { type ParkedAggregate, type Poison, ProjectionStore, type Refolded, type StoreUnavailable } from "../../projections/projection-store.ts"
import { park, parkEntry } from "../park.ts"

const by = (projection: Projection) => `projector ${projection.name}`

export const parkPoisons = (projection: Projection, poisons: ReadonlyArray<Poison>) =>
  Effect.forEach(poisons, (poison) => parkPoison(projection, poison), { discard: true })

const parkPoison = (projection: Projection, { entry, reason }: Poison) => {
  if (entry._tag === "Unreadable") return parkEntry(by(projection), entry)
  const { aggregate, id, position, revision, tenantId } = entry
  return park({
    what: "event", by: by(projection), where: `${position.stream} ${position.sequence} ${tenantId}.${aggregate}.${id}.${revision}`, reason,
    tenantId, ...(aggregate === "compose" && { composeId: id })
  })
}

/** Folds an aggregate that was put aside anew; if that goes well, it is up to date again and no more on the list. */
export const retryAggregate = Effect.fnUntraced(function*(
  projection: Projection,
  { ref, sequence, stream }: ParkedAggregate
): Effect.fn.Return<Refolded, LogUnavailable | StoreUnavailable | ParkedUnavailable, EventLog | ProjectionStore | Parked> {
  const log = yield* EventLog
  const store = yield* ProjectionStore
  for (;;) {
    // What it decides from now on comes into one of the streams that are open.
    const open = log.streams.filter((each) => !log.isSealed(each))
    const heads = yield* Effect.forEach(open, (each) => Effect.map(log.head(each), (head) => [each, head] as const))
    const read = yield* Effect.result(log.read(ref))
    if (read._tag === "Failure") return { _tag: "StillPoisoned", reason: read.failure.message }
    const refolded = yield* store.refold(projection, read.success.recorded, new Map(heads))
    if (refolded._tag === "Behind") continue
    if (refolded._tag === "Done") yield* forget(projection, `${stream} ${sequence} `)
    return refolded
  }
})

/** After a rebuild the list has no more of a read model's faults than those of aggregates that it still passes over. */
export const forgetMended = Effect.fnUntraced(function*(projection: Projection) {
  const parked = yield* Parked
  const items = yield* parked.list
  const kept = (yield* (yield* ProjectionStore).parked(projection)).map(({ sequence, stream }) => `${stream} ${sequence} `)
  const over = items.filter(({ by: whose, tenantId, what, where }) =>
    what === "event" && whose === by(projection) && tenantId !== undefined && !kept.some((place) => where.startsWith(place)))
  yield* Effect.forEach(over, ({ id }) => parked.drop(id), { discard: true })
})

const forget = Effect.fnUntraced(function*(projection: Projection, place: string) {
  const parked = yield* Parked
  const items = yield* parked.list
  const over = items.filter((item) => item.what === "event" && item.by === by(projection) && item.where.startsWith(place))
  yield* Effect.forEach(over, ({ id }) => parked.drop(id), { discard: true })
})
