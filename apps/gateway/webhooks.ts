/** The handlers of webhooks: judged, sealed, recorded. Who delivers hears of it by the log. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { v7 } from "uuid"
import { Millis, type TenantId } from "../../domain/ids.ts"
import { isInternalAddress } from "../../domain/private-host.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { webhooksRef } from "../../domain/recorded.ts"
import { endpointFault } from "../../domain/webhook-endpoint.ts"
import {
  AddWebhook, AskRedelivery, AskReplay, ChangeWebhook, DisableWebhook, EnableWebhook, mostWebhooks, RemoveWebhook, RotateWebhookKey, TestWebhook, type WebhooksCommand
} from "../../domain/webhooks.ts"
import { unknownTypes, WebhookId, type WebhookSettings } from "../../domain/webhook-settings.ts"
import { WebhookLog } from "../../projections/webhook-log.ts"
import { executeOnWebhooks, knownWebhooks } from "../tenant-webhooks.ts"
import { newKey } from "../webhook-key.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { NotFound, WebhookDisabled } from "./api/problems.ts"
import { GatewayConfig } from "./config.ts"
import { badRequest, fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"
import { linked, pageOf } from "./list-page.ts"
import { changedSettings, deliveryItem, settingsOf, webhookView } from "./webhook-views.ts"

const usualOldSeconds = 24 * 3600

export const WebhooksLive = HttpApiBuilder.group(KilnApi, "webhooks", Effect.fnUntraced(function*(handlers) {
  const ports = yield* Effect.context<EventLog | Sealer | WebhookLog>()
  const { webhookRefuses = isInternalAddress } = yield* GatewayConfig

  const find = Effect.fnUntraced(function*(tenantId: TenantId, id: WebhookId) {
    const found = (yield* orUnavailable(knownWebhooks(tenantId))).find(({ webhookId }) => webhookId === id)
    return found ?? (yield* missing(id))
  })

  /** Without Postgres it is not known how endpoints fare. */
  const failingOf = (tenantId: TenantId) => Effect.flatMap(WebhookLog, (log) => log.failing(tenantId)).pipe(Effect.orElseSucceed(() => new Map<string, number>()))

  const show = Effect.fnUntraced(function*(id: WebhookId) {
    const { tenantId } = yield* CurrentIdentity
    return webhookView(yield* find(tenantId, id), (yield* failingOf(tenantId)).get(id))
  })

  const execute = Effect.fnUntraced(function*(command: WebhooksCommand) {
    const { role, subject, tenantId } = yield* CurrentIdentity
    const intent = { tenantId, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor: { kind: role, id: subject } as const }
    return yield* executeOnWebhooks(intent, command).pipe(Effect.catchTag("LogUnavailable", (error) => orUnavailable(Effect.fail(error))))
  })

  const change = (command: WebhooksCommand) =>
    Effect.catchTag(execute(command), "WebhooksRejected", () => missing(command.webhookId))

  const whileEnabled = (command: WebhooksCommand) =>
    Effect.catchTag(execute(command), "WebhooksRejected", ({ reason }): Effect.Effect<never, NotFound | WebhookDisabled> =>
      Effect.fail(reason === "Disabled" ? new WebhookDisabled({ detail: "the webhook is disabled: nothing is sent to it" }) : missing(command.webhookId)))

  const judge = Effect.fnUntraced(function*({ types: asked, url }: WebhookSettings) {
    const types: ReadonlyArray<string> = asked ?? []
    const wrong = endpointFault(url, webhookRefuses)
    const faults = [
      ...(wrong === undefined ? [] : [{ in: "body", path: "url", message: wrong } as const]),
      ...unknownTypes(types).map((type) => ({ in: "body", path: `types[${types.indexOf(type)}]`, message: "there are no such events" } as const))
    ]
    if (faults.length > 0) return yield* badRequest(faults)
  })

  const seal = Effect.fnUntraced(function*(secret: string) {
    return yield* (yield* Sealer).seal((yield* CurrentIdentity).tenantId, secret)
  })

  return handlers.handleAll({
    list: Effect.fnUntraced(function*() {
      const { tenantId } = yield* CurrentIdentity
      const failing = yield* failingOf(tenantId)
      return (yield* orUnavailable(knownWebhooks(tenantId))).map((known) => webhookView(known, failing.get(known.webhookId)))
    }, Effect.provideContext(ports)),

    add: Effect.fnUntraced(function*({ payload }) {
      const settings = settingsOf(payload)
      yield* judge(settings)
      const webhookId = WebhookId.make(v7())
      const secret = newKey()
      yield* Effect.catchTag(execute(AddWebhook.make({ webhookId, settings, key: yield* seal(secret) })), "WebhooksRejected",
        () => fault("body", "", `a tenant has at most ${mostWebhooks} webhooks`))
      return { ...(yield* show(webhookId).pipe(Effect.catchTag("NotFound", Effect.die))), secret }
    }, Effect.provideContext(ports)),

    show: ({ params: { id } }) => Effect.provideContext(show(id), ports),

    change: Effect.fnUntraced(function*({ params: { id }, payload: { enabled, ...others } }) {
      const { tenantId } = yield* CurrentIdentity
      const settings = changedSettings((yield* find(tenantId, id)).settings, others)
      yield* judge(settings)
      yield* change(ChangeWebhook.make({ webhookId: id, settings }))
      if (enabled !== undefined) yield* change(enabled ? EnableWebhook.make({ webhookId: id }) : DisableWebhook.make({ webhookId: id, because: "asked" }))
      return yield* show(id)
    }, Effect.provideContext(ports)),

    remove: ({ params: { id } }) => Effect.provideContext(Effect.asVoid(change(RemoveWebhook.make({ webhookId: id }))), ports),

    rotate: Effect.fnUntraced(function*({ params: { id }, payload: { old_seconds = usualOldSeconds } }) {
      const secret = newKey()
      const oldUntil = Millis.make((yield* Clock.currentTimeMillis) + old_seconds * 1000)
      yield* change(RotateWebhookKey.make({ webhookId: id, key: yield* seal(secret), oldUntil }))
      return { ...(yield* show(id)), secret }
    }, Effect.provideContext(ports)),

    test: Effect.fnUntraced(function*({ params: { id } }) {
      const { tenantId } = yield* CurrentIdentity
      const { revision } = (yield* change(TestWebhook.make({ webhookId: id })))!
      const { aggregate, id: of } = webhooksRef(tenantId)
      return { event: `${aggregate}_${of}_${revision}_0` }
    }, Effect.provideContext(ports)),

    replay: Effect.fnUntraced(function*({ params: { id }, payload: { after, since } }) {
      if ((after === undefined) === (since === undefined)) return yield* fault("body", "since", "either since or after has to be said")
      const [stream = "", sequence] = after?.split(":") ?? []
      if (after !== undefined && !(yield* EventLog).streams.includes(stream)) return yield* fault("body", "after", "there is no such place in the log")
      yield* whileEnabled(AskReplay.make({
        webhookId: id, ...(after !== undefined && { after: { stream, sequence: Number(sequence) } }), ...(since !== undefined && { since: Millis.make(Date.parse(since)) })
      }))
    }, Effect.provideContext(ports)),

    deliveries: Effect.fnUntraced(function*({ params: { id }, query, request }) {
      const { tenantId } = yield* CurrentIdentity
      yield* find(tenantId, id)
      const log = yield* WebhookLog
      const filter = { state: query.status, since: millisOf(query.since), until: millisOf(query.until) }
      const page = yield* pageOf(query, ["number"], (limit, before) => log.list(tenantId, id, filter, { limit, before: before?.[0] as number | undefined }),
        { item: deliveryItem, valuesOf: (row) => [row.id] })
      return linked(page, request.url)
    }, Effect.provideContext(ports)),

    delivery: Effect.fnUntraced(function*({ params: { event, id } }) {
      const { body, ...row } = yield* findDelivery(id, event)
      return { ...deliveryItem(row), body: JSON.parse(body) as unknown }
    }, Effect.provideContext(ports)),

    redeliver: Effect.fnUntraced(function*({ params: { event, id } }) {
      yield* findDelivery(id, event)
      yield* whileEnabled(AskRedelivery.make({ webhookId: id, delivery: event }))
    }, Effect.provideContext(ports))
  })
}))

const findDelivery = Effect.fnUntraced(function*(id: WebhookId, event: string) {
  const { tenantId } = yield* CurrentIdentity
  const found = yield* orUnavailable((yield* WebhookLog).find(tenantId, id, event))
  return found ?? (yield* new NotFound({ detail: `there is no delivery of ${event} to webhook ${id}` }))
})

const missing = (id: WebhookId) => new NotFound({ detail: `there is no webhook ${id}` })
const millisOf = (time: string | undefined) => time === undefined ? undefined : Date.parse(time)
