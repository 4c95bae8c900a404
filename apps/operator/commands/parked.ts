/** What was put aside since it could not be taken in: look at it, forget it. */
import { Effect, Option } from "effect"
import { projections } from "../../../projections/all.ts"
import type { Projection } from "../../../projections/projection.ts"
import { ProjectionStore } from "../../../projections/projection-store.ts"
import { retryAggregate } from "../../projector/poison.ts"
import type { ParkedView } from "../../gateway/api/operation-api.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { moment } from "../moments.ts"
import { onRecordHere } from "../on-record-here.ts"
import { answer } from "../output.ts"
import { backends, projectionNamed } from "../past-the-gateway.ts"
import { table } from "../table.ts"

export const listParked = Effect.fn("listParked")(function*() {
  const items = yield* (yield* Kiln).json<ReadonlyArray<ParkedView>>("/parked")
  yield* answer(items, (output) => items.length === 0 ? ["Nothing is parked"] : table<ParkedView>(output, [
    { title: "ID", of: ({ id }) => id },
    { title: "AT", of: ({ at }) => moment(at, output.utc) },
    { title: "WHAT", of: ({ what }) => what },
    { title: "BY", of: ({ by }) => by },
    { title: "TENANT", of: ({ tenant }) => tenant ?? "" },
    { title: "WHERE", of: ({ where }) => where },
    { title: "REASON", of: ({ reason }) => reason, shrinks: true }
  ], items))
})

/** What projections have put aside is folded anew; this takes no gateway, but log and read models. */
export const retryParked = Effect.fn("retryParked")(function*({ projection: only }: { readonly projection: Option.Option<string> }) {
  const wanted = Option.isNone(only) ? [...projections.values()] : [yield* projectionNamed(only.value)]
  const retried = Effect.map(Effect.forEach(wanted, retryAll), (all) => all.flat())
  const on = wanted.map(({ name }) => name).join(", ")
  const result = (all: ReadonlyArray<{ readonly reason?: string }>) => `${all.filter(({ reason }) => reason === undefined).length} of ${all.length} taken in`
  const results = yield* onRecordHere({ operation: "parked-retry", on, result }, retried).pipe(
    Effect.provide(yield* backends("parked retry")),
    Effect.mapError(({ message }) => commandFailed("unreachable", message))
  )
  const left = results.filter(({ reason }) => reason !== undefined)
  yield* answer({ taken_in: results.length - left.length, still_parked: left }, () => [
    ...left.map(({ aggregate, id, projection, reason, tenant }) => `${projection}: ${aggregate} ${id} of ${tenant} still cannot be taken in: ${reason}`),
    `${results.length - left.length} of ${results.length} taken in`
  ])
  if (left.length > 0) return yield* commandFailed("failed", "")
})

const retryAll = Effect.fnUntraced(function*(projection: Projection) {
  const parked = yield* (yield* ProjectionStore).parked(projection)
  return yield* Effect.forEach(parked, (item) =>
    Effect.map(retryAggregate(projection, item), (refolded) => ({
      projection: projection.name, tenant: item.ref.tenantId, aggregate: item.ref.aggregate, id: item.ref.id,
      ...(refolded._tag === "StillPoisoned" && { reason: refolded.reason })
    })))
})

export const dropParked = Effect.fn("dropParked")(function*({ id, yes }: { readonly id: string; readonly yes: boolean }) {
  yield* confirmed(`forgets ${id}`, yes)
  yield* Effect.scoped((yield* Kiln).open(`/parked/${encodeURIComponent(id)}`, { method: "DELETE" }))
  yield* answer({ id, dropped: true }, () => [`${id} is forgotten`])
})
