/** Where a tenant wants to be told of what happens. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DeliveryState } from "../../../domain/ports/webhook-deliveries.ts"
import { matching, storable } from "../../../domain/text.ts"
import { WebhookDisabled as Disabled } from "../../../domain/webhooks.ts"
import { TypePattern, WebhookFilter, WebhookId, WebhookSettings, WebhookUrl } from "../../../domain/webhook-settings.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, NotFound, Unavailable, WebhookDisabled } from "./problems.ts"
import { Moment, PageQuery, WithinQuery } from "./queries.ts"

const optional = Schema.optionalKey
const Time = Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] })

const { distributions, imageTypes: image_types, labels, statuses, targets } = WebhookFilter.fields
const FilterView = Schema.Struct({ distributions, image_types, statuses, targets, labels })
const { description, types } = WebhookSettings.fields

const settings = { url: WebhookUrl, description, types, filter: optional(FilterView) }
export const WebhookRequest = Schema.Struct(settings).annotate({ identifier: "WebhookRequest" })
export type WebhookRequest = typeof WebhookRequest.Type

/** What is left out stays; `null` takes it away. */
export const WebhookChange = Schema.Struct({
  url: optional(WebhookUrl),
  description: optional(Schema.NullOr(storable(200))),
  types: optional(Schema.NullOr(Schema.NonEmptyArray(TypePattern).check(Schema.isMaxLength(50)))),
  filter: optional(Schema.NullOr(FilterView)),
  enabled: optional(Schema.Boolean)
}).annotate({ identifier: "WebhookChange" })
export type WebhookChange = typeof WebhookChange.Type

const view = {
  id: WebhookId,
  ...settings,
  status: Schema.Literals(["enabled", "disabled"]),
  /** Why, and since when nothing had arrived. */
  disabled: optional(Schema.Struct({ because: Disabled.fields.because, failing_since: optional(Time), last_error: optional(Schema.String) })),
  /** Nothing has arrived since. */
  failing_since: optional(Time),
  /** For so long the secret before counts, too. */
  old_secret_until: optional(Time),
  added_at: Time,
  added_by: Schema.String
}
export const WebhookView = Schema.Struct(view).annotate({ identifier: "Webhook" })
export type WebhookView = typeof WebhookView.Type

/** Shown once. */
export const WebhookWithSecret = Schema.Struct({ ...view, secret: Schema.String }).annotate({ identifier: "WebhookWithSecret" })
export type WebhookWithSecret = typeof WebhookWithSecret.Type

const delivery = {
  /** `id` of the event, and `webhook-id` of what is sent. */
  event: Schema.String,
  type: Schema.String,
  subject: Schema.String,
  at: Time,
  /** In the log: what came after it can be asked for again. */
  position: Schema.String,
  status: DeliveryState,
  attempts: Schema.Int,
  planned_at: Time,
  attempted_at: optional(Time),
  next_attempt_at: optional(Time),
  took_ms: optional(Schema.Int),
  http_status: optional(Schema.Int),
  error: optional(Schema.String),
  /** The beginning of what the endpoint has answered. */
  response: optional(Schema.String)
}
export const DeliveryItem = Schema.Struct(delivery).annotate({ identifier: "Delivery" })
export type DeliveryItem = typeof DeliveryItem.Type
export const DeliveryPage = Schema.Struct({ items: Schema.Array(DeliveryItem), next: optional(Schema.String) }).annotate({ identifier: "DeliveryPage" })
export const DeliveryDetails = Schema.Struct({ ...delivery, body: Schema.Unknown }).annotate({ identifier: "DeliveryDetails" })
export type DeliveryDetails = typeof DeliveryDetails.Type

/** One of the two. */
export const ReplayRequest = Schema.Struct({
  since: optional(Moment),
  /** As `position` of a delivery and `kilnposition` of an event say it. */
  after: optional(matching(/^[A-Z][A-Za-z0-9_-]{0,80}:[0-9]{1,15}$/u, "a place in the log, such as EVENTS:1234"))
}).annotate({ identifier: "ReplayRequest" })

const longestOld = 7 * 24 * 3600
export const RotateRequest = Schema.Struct({
  /** A day, unless said. */
  old_seconds: optional(Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: longestOld })))
}).annotate({ identifier: "RotateRequest" })

const one = { params: { id: WebhookId } }
const event = { params: { id: WebhookId, event: Schema.String.check(Schema.isMaxLength(200)) } }
const usual = [BadRequest, NotFound, Unavailable] as const

export class WebhooksApi extends HttpApiGroup.make("webhooks").add(
  HttpApiEndpoint.get("list", "/webhooks", { success: Schema.Array(WebhookView), error: [Unavailable] })
    .annotate(OpenApi.Summary, "The tenant's webhooks"),
  HttpApiEndpoint.post("add", "/webhooks", { payload: WebhookRequest, success: WebhookWithSecret.pipe(HttpApiSchema.status(201)), error: [BadRequest, Unavailable] })
    .annotate(OpenApi.Summary, "Add a webhook; its secret is shown now and never again"),
  HttpApiEndpoint.get("show", "/webhooks/:id", { ...one, success: WebhookView, error: usual })
    .annotate(OpenApi.Summary, "One webhook"),
  HttpApiEndpoint.patch("change", "/webhooks/:id", { ...one, payload: WebhookChange, success: WebhookView, error: usual })
    .annotate(OpenApi.Summary, "Change what is said, enable or disable"),
  HttpApiEndpoint.delete("remove", "/webhooks/:id", { ...one, success: HttpApiSchema.NoContent, error: usual })
    .annotate(OpenApi.Summary, "Remove a webhook and the record of its deliveries"),
  HttpApiEndpoint.post("rotate", "/webhooks/:id/rotate", { ...one, payload: RotateRequest, success: WebhookWithSecret, error: usual })
    .annotate(OpenApi.Summary, "A new secret; the old one counts beside it for a while"),
  HttpApiEndpoint.post("test", "/webhooks/:id/test", { ...one, success: Schema.Struct({ event: Schema.String }).pipe(HttpApiSchema.status(202)), error: usual })
    .annotate(OpenApi.Summary, "Send something to try the endpoint, once"),
  HttpApiEndpoint.post("replay", "/webhooks/:id/replay", { ...one, payload: ReplayRequest, success: HttpApiSchema.Accepted, error: [...usual, WebhookDisabled] })
    .annotate(OpenApi.Summary, "Send again what happened since a time or after a place in the log"),
  HttpApiEndpoint.get("deliveries", "/webhooks/:id/deliveries", {
    ...one,
    query: { status: optional(DeliveryState), ...WithinQuery, ...PageQuery },
    success: HttpApiSchema.WithHeaders(DeliveryPage, { link: optional(Schema.String) }),
    error: usual
  }).annotate(OpenApi.Summary, "What was sent and what came of it, the latest first"),
  HttpApiEndpoint.get("delivery", "/webhooks/:id/deliveries/:event", { ...event, success: DeliveryDetails, error: usual })
    .annotate(OpenApi.Summary, "One delivery, with what is sent"),
  HttpApiEndpoint.post("redeliver", "/webhooks/:id/deliveries/:event/redeliver", { ...event, success: HttpApiSchema.Accepted, error: [...usual, WebhookDisabled] })
    .annotate(OpenApi.Summary, "Send one again")
).middleware(Authorization) {}
