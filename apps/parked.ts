/** All that is parked, wherever it is kept: what was put aside, and deliveries that webhooks have given up. */
import { Clock, Effect, Schema } from "effect"
import { v7 } from "uuid"
import { Millis, type TenantId } from "../domain/ids.ts"
import { nearestIds } from "../domain/nearest-ids.ts"
import { Parked, type ParkedItem, type ParkedKind } from "../domain/ports/parked.ts"
import type { Actor } from "../domain/recorded.ts"
import type { WebhookId } from "../domain/webhook-settings.ts"
import { DropDeliveries, type WebhooksCommand } from "../domain/webhooks.ts"
import { type ParkedDelivery, WebhookLog } from "../projections/webhook-log.ts"
import { executeOnWebhooks } from "./tenant-webhooks.ts"

export interface ParkedThing extends Omit<ParkedItem, "what"> {
  readonly id: string
  readonly what: ParkedKind
  readonly delivery?: Pick<ParkedDelivery, "webhookId" | "occurrence">
}

export interface ParkedFilter {
  readonly what?: ParkedKind | undefined
  readonly tenantId?: TenantId | undefined
}

export class NotParked extends Schema.TaggedError<NotParked>()("NotParked", { message: Schema.String }) {}

/** As the audit has them. */
export const parkedWords = ({ by, what, where }: ParkedThing): string => `${what} of ${by}: ${where}`
export const parkedFilterWords = ({ tenantId, what }: ParkedFilter): string =>
  `all that is parked${what === undefined ? "" : ` as ${what}`}${tenantId === undefined ? "" : ` of tenant ${tenantId}`}`

/** As many deliveries as are listed, of however many there are. */
const mostDeliveries = 1000

/** The newest first. Where it is not known which deliveries are parked, all else is listed, unless those were asked for. */
export const listParked = Effect.fnUntraced(function*({ tenantId, what }: ParkedFilter = {}) {
  const log = yield* WebhookLog
  const items = what === "delivery" ? [] : yield* (yield* Parked).list
  const deliveries = what !== undefined && what !== "delivery" ? Effect.succeed([]) : log.parked({ tenantId, limit: mostDeliveries })
  const given = what === undefined ? Effect.orElseSucceed(deliveries, () => []) : deliveries
  return [
    ...items.filter((item) => (what === undefined || item.what === what) && (tenantId === undefined || item.tenantId === tenantId)),
    ...(yield* given).map(thingOf)
  ].toSorted((one, other) => other.at - one.at)
})

const thingOf = ({ at, attempts, error, id, occurrence, status, subject, tenantId, type, webhookId }: ParkedDelivery): ParkedThing => ({
  id: `d${id}`, what: "delivery", by: "webhooks", where: `${webhookId} ${occurrence} ${type}`, tenantId, at: Millis.make(at),
  reason: `${[status, error].filter((each) => each !== null).join(" ")} after ${attempts} attempts`.trimStart(),
  ...(subject.startsWith("composes/") && { composeId: subject.slice("composes/".length) }), delivery: { webhookId, occurrence }
})

export const findParked = Effect.fnUntraced(function*(id: string) {
  const log = yield* WebhookLog
  if (/^d\d{1,15}$/.test(id)) {
    const [delivery] = yield* log.parked({ id: Number(id.slice(1)), limit: 1 })
    if (delivery !== undefined) return thingOf(delivery)
  }
  const all: ReadonlyArray<ParkedThing> = yield* listParked()
  const near = nearestIds(all.map((each) => each.id), id)
  return all.find((each) => each.id === id)
    ?? (yield* new NotParked({ message: `nothing is parked as ${id}${near.length === 0 ? "" : `; there is ${near.join(", ")}`}` }))
})

/** Page by page, so that all of them are met, however many there are. */
export const forEachParked = Effect.fnUntraced(function*<E, R>(
  filter: ParkedFilter, take: (things: ReadonlyArray<ParkedThing>) => Effect.Effect<void, E, R>
) {
  if (filter.what !== "delivery") yield* take((yield* listParked(filter)).filter(({ what }) => what !== "delivery"))
  if (filter.what !== undefined && filter.what !== "delivery") return
  const log = yield* WebhookLog
  for (let before: number | undefined;;) {
    const page = yield* log.parked({ tenantId: filter.tenantId, before, limit: mostDeliveries })
    yield* take(page.map(thingOf))
    before = page.at(-1)?.id
    if (page.length < mostDeliveries) return
  }
})

/** Forgets them; answers how many there were. */
export const dropParked = Effect.fnUntraced(function*(actor: Actor, things: ReadonlyArray<ParkedThing>) {
  const parked = yield* Parked
  const dropped = yield* Effect.forEach(things.filter(({ what }) => what !== "delivery"), ({ id }) => parked.drop(id), { concurrency: 16 })
  const asked = yield* askOfWebhooks(actor, things, DropDeliveries.make)
  return dropped.filter((was) => was).length + asked.filter(({ refused }) => refused === undefined).length
})

type OfDeliveries = Omit<typeof DropDeliveries.Type, "_tag">
const atOnce = 500

/** Of the deliveries among them, each webhook's in as few decisions as may be. */
export const askOfWebhooks = Effect.fnUntraced(function*(
  actor: Actor, things: ReadonlyArray<ParkedThing>, command: (of: OfDeliveries) => WebhooksCommand
) {
  const asked: Array<{ readonly thing: ParkedThing; readonly refused?: string }> = []
  for (const [webhookId, all] of Map.groupBy(things.filter(({ delivery }) => delivery !== undefined), ({ delivery }) => delivery!.webhookId)) {
    for (let at = 0; at < all.length; at += atOnce) {
      const some = all.slice(at, at + atOnce)
      const refused = yield* ask(actor, some, webhookId, command)
      asked.push(...some.map((thing) => ({ thing, ...(refused !== undefined && { refused }) })))
    }
  }
  return asked
})

const ask = Effect.fnUntraced(function*(
  actor: Actor, things: ReadonlyArray<ParkedThing>, webhookId: WebhookId, command: (of: OfDeliveries) => WebhooksCommand
) {
  const [first, ...others] = things.map(({ delivery }) => delivery!.occurrence)
  const intent = { tenantId: things[0]!.tenantId!, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor }
  return yield* executeOnWebhooks(intent, command({ webhookId, deliveries: [first!, ...others] })).pipe(
    Effect.as(undefined),
    Effect.catchTag("WebhooksRejected", ({ reason }) =>
      Effect.succeed(reason === "Disabled" ? `webhook ${webhookId} is disabled` : `there is no webhook ${webhookId} any more`)))
})
