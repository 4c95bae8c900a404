/** What was put aside since it could not be taken in: look at it, try it again, forget it. */
import { Effect, Option, Result } from "effect"
import type { TenantId } from "../../../domain/ids.ts"
import type { ParkedKind } from "../../../domain/ports/parked.ts"
import { projections } from "../../../projections/all.ts"
import type { ParkedView } from "../../gateway/api/operation-api.ts"
import { findParked, forEachParked, parkedFilterWords, parkedWords } from "../../parked.ts"
import { Kiln } from "../client.ts"
import { type CommandFailed, commandFailed, exitCodes } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { moment } from "../moments.ts"
import { actorHere, onRecordHere, tenantNamed } from "../on-record-here.ts"
import { answer } from "../output.ts"
import { backends, projectionNamed } from "../past-the-gateway.ts"
import { type Retried, retryAggregates, retryThings } from "../retry-parked.ts"
import { table } from "../table.ts"

interface Filter {
  readonly what: Option.Option<ParkedKind>
  readonly tenant: Option.Option<string>
}

const queryOf = ({ tenant, what }: Filter) => ({ what: Option.getOrUndefined(what), tenant: Option.getOrUndefined(tenant) })

export const listParked = Effect.fn("listParked")(function*(filter: Filter) {
  const items = yield* (yield* Kiln).json<ReadonlyArray<ParkedView>>("/parked", { query: queryOf(filter) })
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

interface RetryInput extends Filter {
  readonly ids: ReadonlyArray<string>
  readonly projection: Option.Option<string>
}

/** This takes no gateway, but log and read models. */
export const retryParked = Effect.fn("retryParked")(function*({ ids, projection, tenant, what }: RetryInput) {
  const filtered = Option.isSome(projection) || Option.isSome(tenant) || Option.isSome(what)
  if (ids.length > 0 && filtered) return yield* commandFailed("invalid", "Say either ids, or which of all there are")
  if (Option.isSome(projection) && Option.getOrElse(what, () => "event") !== "event") {
    return yield* commandFailed("invalid", "--projection is of events alone")
  }
  const of = Option.isSome(tenant) ? yield* tenantNamed("--tenant", tenant.value) : undefined
  const kind = Option.getOrElse(what, () => "event" as const)
  const results = ids.length > 0 ? yield* retryByIds(ids) : kind === "event" ? yield* retryEvents(projection, of) : yield* retryKind(kind, of)
  const left = results.filter(({ reason }) => reason !== undefined)
  yield* answer({ taken_in: results.length - left.length, still_parked: left }, () => [
    ...left.map(leftWords),
    `${results.length - left.length} of ${results.length} taken in${results.some(({ what: each }) => each !== "event") ? ", or begun again" : ""}`
  ])
  if (left.length > 0) return yield* commandFailed("failed", "")
})

const leftWords = ({ aggregate, id, projection, reason, tenant, what }: Retried) => projection === undefined
  ? `${what} ${id} stays parked: ${reason}`
  : `${projection}: ${aggregate} ${id} of ${tenant} still cannot be taken in: ${reason}`

const result = (all: ReadonlyArray<Retried>) => `${all.filter(({ reason }) => reason === undefined).length} of ${all.length} taken in`
const reached = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  Effect.flatMap(backends("parked retry"), (layer) => Effect.mapError(Effect.provide(effect, layer), ({ message }) => commandFailed("unreachable", message)))

/** Of all read models, or of one; also what somebody has dropped from the list. */
const retryEvents = Effect.fnUntraced(function*(only: Option.Option<string>, tenantId: TenantId | undefined) {
  const wanted = Option.isNone(only) ? [...projections.values()] : [yield* projectionNamed(only.value)]
  const on = `${wanted.map(({ name }) => name).join(", ")}${tenantId === undefined ? "" : ` of tenant ${tenantId}`}`
  const retried = Effect.map(
    Effect.forEach(wanted, (projection) => retryAggregates(projection, ({ ref }) => tenantId === undefined || ref.tenantId === tenantId)), (all) => all.flat())
  return yield* reached(onRecordHere({ operation: "parked-retry", on, result }, retried, tenantId))
})

const retryKind = (what: ParkedKind, tenantId: TenantId | undefined) => {
  const retried: Array<Retried> = []
  const all = forEachParked({ what, tenantId }, (things) => Effect.map(retryThings(actorHere(), things), (some) => void retried.push(...some)))
  return reached(onRecordHere({ operation: "parked-retry", on: parkedFilterWords({ what, tenantId }), result }, Effect.as(all, retried), tenantId))
}

/** All of them are looked up before anything is done. */
const retryByIds = Effect.fnUntraced(function*(ids: ReadonlyArray<string>) {
  const looked = yield* reached(Effect.result(Effect.forEach(ids, findParked)))
  if (Result.isFailure(looked)) return yield* commandFailed(looked.failure._tag === "NotParked" ? "notFound" : "unreachable", looked.failure.message)
  return (yield* reached(Effect.forEach(looked.success, (thing) =>
    onRecordHere({ operation: "parked-retry", on: parkedWords(thing), result }, retryThings(actorHere(), [thing]), thing.tenantId)))).flat()
})

interface DropInput extends Filter {
  readonly ids: ReadonlyArray<string>
  readonly all: boolean
  readonly yes: boolean
}

export const dropParked = Effect.fn("dropParked")(function*({ all, ids, tenant, what, yes }: DropInput) {
  const filtered = all || Option.isSome(tenant) || Option.isSome(what)
  if (filtered === ids.length > 0) return yield* commandFailed("invalid", "Say either ids, or --what, --tenant or --all")
  if (filtered) return yield* dropAll({ tenant, what }, yes)
  yield* confirmed(`forgets ${ids.join(", ")}`, yes)
  const kiln = yield* Kiln
  const failures: Array<CommandFailed> = []
  for (const id of ids) {
    const dropped = yield* Effect.result(Effect.scoped(kiln.open(`/parked/${encodeURIComponent(id)}`, { method: "DELETE" })))
    if (Result.isSuccess(dropped)) yield* answer({ id, dropped: true }, () => [`${id} is forgotten`])
    else if (dropped.failure.code === exitCodes.notFound) failures.push(dropped.failure)
    else return yield* dropped.failure
  }
  if (failures.length > 0) return yield* commandFailed("notFound", failures.map(({ message }) => message).join("\n"), failures[0]!.problem)
})

const dropAll = Effect.fnUntraced(function*(filter: Filter, yes: boolean) {
  const { tenant, what } = queryOf(filter)
  yield* confirmed(`forgets ${parkedFilterWords({ what, tenantId: tenant as TenantId | undefined })}`, yes)
  const dropped = yield* (yield* Kiln).json<{ readonly dropped: number }>("/parked", { method: "DELETE", query: { tenant, what, all: "true" } })
  yield* answer(dropped, () => [dropped.dropped === 1 ? "1 is forgotten" : `${dropped.dropped} are forgotten`])
})
