/** Has what was put aside taken in anew, or done again: each kind of thing by who can do that. */
import { Clock, Effect } from "effect"
import { v7 } from "uuid"
import { RetryCompose } from "../../domain/compose-commands.ts"
import { ComposeId, JobId, Millis } from "../../domain/ids.ts"
import { Parked } from "../../domain/ports/parked.ts"
import type { Actor } from "../../domain/recorded.ts"
import { AskRedeliveries } from "../../domain/webhooks.ts"
import { projections } from "../../projections/all.ts"
import type { Projection } from "../../projections/projection.ts"
import { type ParkedAggregate, ProjectionStore } from "../../projections/projection-store.ts"
import { execute } from "../execute.ts"
import { askOfWebhooks, type ParkedThing } from "../parked.ts"
import { retryAggregate } from "../projector/poison.ts"

/** `reason`: why it is parked still. */
export interface Retried {
  readonly what: ParkedThing["what"]
  readonly id: string
  readonly tenant?: string
  readonly projection?: string
  readonly aggregate?: string
  readonly reason?: string
}

export const retryAggregates = Effect.fnUntraced(function*(projection: Projection, wanted: (parked: ParkedAggregate) => boolean) {
  const parked = yield* (yield* ProjectionStore).parked(projection)
  return yield* Effect.forEach(parked.filter(wanted), (item) =>
    Effect.map(retryAggregate(projection, item), (refolded): Retried => ({
      what: "event", projection: projection.name, tenant: item.ref.tenantId, aggregate: item.ref.aggregate, id: item.ref.id,
      ...(refolded._tag === "StillPoisoned" && { reason: refolded.reason })
    })))
})

export const retryThings = Effect.fnUntraced(function*(actor: Actor, things: ReadonlyArray<ParkedThing>) {
  const redelivered = yield* askOfWebhooks(actor, things, AskRedeliveries.make)
  const others = yield* Effect.forEach(things.filter(({ what }) => what !== "delivery"), (thing) => retryThing(actor, thing))
  return [...redelivered.map(({ refused, thing }) => ended(thing, refused)), ...others]
})

const ended = ({ id, tenantId, what }: ParkedThing, reason?: string): Retried =>
  ({ what, id, ...(tenantId !== undefined && { tenant: tenantId }), ...(reason !== undefined && { reason }) })

const retryThing = (actor: Actor, thing: ParkedThing) => {
  if (thing.what === "job") return retryJob(actor, thing)
  if (thing.what === "report") {
    return Effect.succeed(ended(thing, "a report is not kept: its attempt is lost once its worker does not name it any more, and the job is tried again"))
  }
  return retryEvent(thing)
}

/** What the job was parked for is over; should it come to that again, it is parked anew. */
const retryJob = Effect.fnUntraced(function*(actor: Actor, thing: ParkedThing) {
  const { composeId, id, tenantId, where } = thing
  if (tenantId === undefined || composeId === undefined) return ended(thing, "nobody knows whose job it was")
  const compose = ComposeId.make(composeId)
  const jobId = where.startsWith(`${composeId}/`) ? { jobId: JobId.make(where.slice(composeId.length + 1)) } : {}
  const intent = { tenantId, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor }
  const refused = yield* execute(intent, RetryCompose.make({ composeId: compose, ...jobId })).pipe(
    Effect.as(undefined), Effect.catchTag("ComposeRejected", ({ reason }) => Effect.succeed(refusals[reason] ?? reason)))
  if (refused === undefined) yield* (yield* Parked).drop(id)
  return ended(thing, refused)
})

const refusals: Readonly<Record<string, string>> = {
  NotFound: "there is no such job any more: drop it", Ended: "its compose has succeeded, or was canceled: drop it", NotFailed: "nothing of it has failed: drop it"
}

const retryEvent = Effect.fnUntraced(function*(thing: ParkedThing) {
  const { by, id, tenantId, where } = thing
  const projection = by.startsWith("projector ") ? projections.get(by.slice("projector ".length)) : undefined
  if (projection === undefined) return ended(thing, by === "scheduler" ? schedulers : `${by} looks at it again by itself, and goes on once it can be read`)
  const [retried] = yield* retryAggregates(projection, ({ sequence, stream }) => where.startsWith(`${stream} ${sequence} `))
  if (retried !== undefined) return ended(thing, retried.reason)
  // Its address says whose it is, and of nothing of theirs is anything left out.
  if (tenantId === undefined) return ended(thing, `nobody knows what it belongs to: kiln replay --projection ${projection.name} reads it again, with all else`)
  yield* (yield* Parked).drop(id)
  return ended(thing)
})

const schedulers = "a scheduler reads the log anew once its snapshot is gone: nats object rm snapshots scheduler, while none runs"
