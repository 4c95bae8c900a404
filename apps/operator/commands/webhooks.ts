/** Webhooks: added, looked at, tried, and what was sent to them. */
import { Effect, Option, Schedule } from "effect"
import type { DeliveryDetails, DeliveryItem, WebhookChange, WebhookRequest, WebhookView, WebhookWithSecret } from "../../gateway/api/webhooks-api.ts"
import { Kiln } from "../client.ts"
import { commandFailed, exitCodes } from "../command-failed.ts"
import { confirmed } from "../confirm.ts"
import { durationMillis, moment } from "../moments.ts"
import { answer, type OutputShape, painted } from "../output.ts"
import { type HowMany, pagesOf, withMore } from "../pages-of.ts"
import { readTime } from "../read-time.ts"
import { facts, table } from "../table.ts"
import { span } from "../units.ts"

interface One {
  readonly id: string
}

interface Settings {
  readonly type: ReadonlyArray<string>
  readonly distribution: ReadonlyArray<string>
  readonly imageType: ReadonlyArray<string>
  readonly status: ReadonlyArray<string>
  readonly target: ReadonlyArray<string>
  readonly label: ReadonlyArray<string>
  readonly description: Option.Option<string>
}

const at = (id: string, rest = "") => `/webhooks/${encodeURIComponent(id)}${rest}`
const send = <A>(path: string, method: "POST" | "PATCH", body: unknown) =>
  Effect.flatMap(Kiln, (kiln) => kiln.json<A>(path, { method, body: JSON.stringify(body) }))
const post = (path: string, body?: unknown) =>
  Effect.flatMap(Kiln, (kiln) => Effect.scoped(kiln.open(path, { method: "POST", ...(body !== undefined && { body: JSON.stringify(body) }) })))

const settingsOf = ({ description, distribution, imageType, label, status, target, type }: Settings) => {
  const filter = {
    ...(distribution.length > 0 && { distributions: distribution }), ...(imageType.length > 0 && { image_types: imageType }),
    ...(status.length > 0 && { statuses: status }), ...(target.length > 0 && { targets: target }), ...(label.length > 0 && { labels: labelsOf(label) })
  }
  return {
    ...(Option.isSome(description) && { description: description.value }), ...(type.length > 0 && { types: type }), ...(Object.keys(filter).length > 0 && { filter })
  }
}

const labelsOf = (labels: ReadonlyArray<string>) => Object.fromEntries(labels.map((label) => {
  const [name = "", ...value] = label.split("=")
  return [name, value.length === 0 ? "*" : value.join("=")]
}))

export const listWebhooks = Effect.fn("listWebhooks")(function*() {
  const webhooks = yield* (yield* Kiln).json<ReadonlyArray<WebhookView>>("/webhooks")
  yield* answer(webhooks, (output) => webhooks.length === 0 ? ["There are none"] : table<WebhookView>(output, [
    { title: "ID", of: ({ id }) => id },
    { title: "STATUS", of: statusOf, paint: (text, webhook) => painted(output, colourOf(webhook), text) },
    { title: "EVENTS", of: ({ types }) => types?.join(", ") ?? "all", shrinks: true },
    { title: "URL", of: ({ url }) => url, shrinks: true },
    { title: "DESCRIPTION", of: ({ description }) => description ?? "", shrinks: true }
  ], webhooks))
})

const statusOf = ({ disabled, failing_since }: WebhookView) => disabled !== undefined ? `disabled (${disabled.because})` : failing_since !== undefined ? "failing" : "enabled"
const colourOf = (webhook: WebhookView) => webhook.disabled !== undefined ? "yellow" : webhook.failing_since !== undefined ? "red" : "green"

export const addWebhook = Effect.fn("addWebhook")(function*({ url, ...settings }: Settings & { readonly url: string }) {
  const webhook = yield* send<WebhookWithSecret>("/webhooks", "POST", { url, ...settingsOf(settings) } as WebhookRequest)
  yield* answer(webhook, (output) => [...described(output, webhook), "", ...secretOf(webhook)])
})

const secretOf = ({ secret }: WebhookWithSecret) => [`Secret: ${secret}`, "Keep it: it is not shown again."]

export const showWebhook = Effect.fn("showWebhook")(function*({ id }: One) {
  const webhook = yield* (yield* Kiln).json<WebhookView>(at(id))
  yield* answer(webhook, (output) => described(output, webhook))
})

const described = (output: OutputShape, { added_at, added_by, description, disabled, failing_since, filter = {}, id, old_secret_until, types, url }: WebhookView) =>
  facts(output, [
    ["id", id], ["url", url], ["description", description],
    ["status", disabled === undefined ? "enabled" : `disabled: ${disabled.because}${disabled.last_error === undefined ? "" : ` (${disabled.last_error})`}`],
    ["failing since", failing_since === undefined ? undefined : moment(failing_since, output.utc)],
    ["events", types?.join(", ") ?? "all"],
    ...Object.entries(filter).map(([name, value]) => [name.replace("_", " "), Array.isArray(value) ? value.join(", ") : labelText(value as Record<string, string>)] as const),
    ["old secret until", old_secret_until === undefined ? undefined : moment(old_secret_until, output.utc)],
    ["added", `${moment(added_at, output.utc)} by ${added_by}`]
  ])

const labelText = (labels: Readonly<Record<string, string>>) => Object.entries(labels).map(([name, value]) => value === "*" ? name : `${name}=${value}`).join(", ")

export const changeWebhook = Effect.fn("changeWebhook")(function*(
  { clear, id, url, ...settings }: One & Settings & { readonly url: Option.Option<string>; readonly clear: ReadonlyArray<string> }
) {
  const change = { ...Object.fromEntries(clear.map((name) => [name, null])), ...(Option.isSome(url) && { url: url.value }), ...settingsOf(settings) } as WebhookChange
  if (Object.keys(change).length === 0) return yield* commandFailed("invalid", "Say what has to change; kiln webhooks change --help has what can")
  const webhook = yield* send<WebhookView>(at(id), "PATCH", change)
  yield* answer(webhook, (output) => described(output, webhook))
})

export const setEnabled = Effect.fn("setEnabled")(function*({ enabled, id }: One & { readonly enabled: boolean }) {
  const webhook = yield* send<WebhookView>(at(id), "PATCH", { enabled })
  yield* answer(webhook, (output) => described(output, webhook))
})

export const removeWebhook = Effect.fn("removeWebhook")(function*({ id, yes }: One & { readonly yes: boolean }) {
  yield* confirmed(`removes webhook ${id} and the record of its deliveries`, yes)
  yield* Effect.scoped((yield* Kiln).open(at(id), { method: "DELETE" }))
  yield* answer({ id, removed: true }, () => [`${id} is removed`])
})

export const rotateSecret = Effect.fn("rotateSecret")(function*({ id, oldFor }: One & { readonly oldFor: Option.Option<string> }) {
  const millis = Option.map(oldFor, durationMillis)
  if (Option.isSome(millis) && millis.value === undefined) return yield* commandFailed("invalid", `--old-for ${Option.getOrElse(oldFor, () => "")} is no time span: say 0s, 1h or 7d`)
  const webhook = yield* send<WebhookWithSecret>(at(id, "/rotate"), "POST", Option.isSome(millis) ? { old_seconds: millis.value! / 1000 } : {})
  yield* answer(webhook, (output) => [...described(output, webhook), "", ...secretOf(webhook)])
})

/** Longer than an endpoint may take. */
const patience = 150

export const testWebhook = Effect.fn("testWebhook")(function*({ detach, id }: One & { readonly detach: boolean }) {
  const kiln = yield* Kiln
  const { event } = yield* send<{ readonly event: string }>(at(id, "/test"), "POST", undefined)
  if (detach) return yield* answer({ event }, () => [`${event} is on its way`])
  const delivery = yield* kiln.json<DeliveryDetails>(at(id, `/deliveries/${event}`)).pipe(
    Effect.filterOrFail(({ status }) => status !== "waiting", () => commandFailed("unreachable", "Nothing has been sent yet: kiln webhooks deliveries tells later")),
    Effect.retry({ times: patience, schedule: Schedule.spaced("200 millis"), while: ({ code }) => code === exitCodes.notFound || code === exitCodes.unreachable }))
  yield* answer(delivery, (output) => deliveryFacts(output, delivery))
  if (delivery.status !== "delivered") return yield* commandFailed("failed", "The endpoint did not take it")
})

const deliveryFacts = (output: OutputShape, delivery: DeliveryItem) =>
  facts(output, [
    ["event", delivery.event], ["type", delivery.type], ["status", delivery.status], ["attempts", String(delivery.attempts)],
    ["answer", answerOf(delivery)], ["took", delivery.took_ms === undefined ? undefined : span(delivery.took_ms)],
    ["next attempt", delivery.next_attempt_at && moment(delivery.next_attempt_at, output.utc)], ["response", delivery.response]
  ])

const answerOf = ({ error, http_status }: DeliveryItem) => [http_status, error].filter((each) => each !== undefined).join(" ")

interface DeliveriesInput extends One, HowMany {
  readonly status: Option.Option<string>
  readonly event: Option.Option<string>
  readonly since: Option.Option<string>
  readonly until: Option.Option<string>
}

export const listDeliveries = Effect.fn("listDeliveries")(function*({ event, id, since, status, until, ...many }: DeliveriesInput) {
  if (Option.isSome(event)) {
    const delivery = yield* (yield* Kiln).json<DeliveryDetails>(at(id, `/deliveries/${encodeURIComponent(event.value)}`))
    return yield* answer(delivery, (output) => [...deliveryFacts(output, delivery), "", JSON.stringify(delivery.body, undefined, 2)])
  }
  const query = { status: Option.getOrUndefined(status), since: yield* readTime("--since", since), until: yield* readTime("--until", until) }
  const { items, next } = yield* pagesOf<DeliveryItem>(at(id, "/deliveries"), query, many)
  yield* answer({ items, ...(next !== undefined && { next }) }, (output) => items.length === 0 ? ["Nothing was sent"] : withMore(output, next !== undefined, table<DeliveryItem>(output, [
    { title: "AT", of: (item) => moment(item.at, output.utc) },
    { title: "TYPE", of: ({ type }) => type },
    { title: "STATUS", of: ({ status }) => status, paint: (text, item) => painted(output, item.status === "delivered" ? "green" : item.status === "parked" ? "red" : "cyan", text) },
    { title: "TRIES", of: ({ attempts }) => String(attempts), right: true },
    { title: "ANSWER", of: answerOf, shrinks: true },
    { title: "EVENT", of: (item) => item.event }
  ], items)))
})

export const redeliver = Effect.fn("redeliver")(function*({ event, id }: One & { readonly event: string }) {
  yield* post(at(id, `/deliveries/${encodeURIComponent(event)}/redeliver`))
  yield* answer({ event }, () => [`${event} is on its way again`])
})

export const replayWebhook = Effect.fn("replayWebhook")(function*({ after, id, since }: One & { readonly after: Option.Option<string>; readonly since: Option.Option<string> }) {
  if (Option.isSome(after) === Option.isSome(since)) return yield* commandFailed("invalid", "Say either --since or --after")
  const time = yield* readTime("--since", since)
  yield* post(at(id, "/replay"), { ...(time !== undefined && { since: time }), ...(Option.isSome(after) && { after: after.value }) })
  yield* answer({ id, ...(time !== undefined && { since: time }), ...(Option.isSome(after) && { after: after.value }) }, () => ["What happened since then is on its way again"])
})
