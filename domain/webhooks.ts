/** A tenant's webhooks: where it wants to be told what. Their keys are sealed before they get here. */
import { Result, Schema } from "effect"
import type { Decider } from "./decider.ts"
import { Millis } from "./ids.ts"
import { Sealed } from "./sealed.ts"
import { WebhookId, WebhookSettings } from "./webhook-settings.ts"

const optional = Schema.optionalKey
const one = { webhookId: WebhookId }
const DisabledBecause = Schema.Literals(["asked", "failing", "gone"])
export type DisabledBecause = typeof DisabledBecause.Type

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const WebhooksEvent = Schema.TaggedUnion({
  WebhookAdded: { ...one, settings: WebhookSettings, key: Sealed },
  /** Takes the place of all settings before. */
  WebhookChanged: { ...one, settings: WebhookSettings },
  WebhookRemoved: one,
  /** `oldUntil`: for how long what is sent is signed with the key before, too. */
  WebhookKeyRotated: { ...one, key: Sealed, oldUntil: Millis },
  /** `failing`: nothing has arrived since then; `gone`: the endpoint said so. What waits is parked. */
  WebhookDisabled: { ...one, because: DisabledBecause, failingSince: optional(Millis), lastError: optional(Schema.String) },
  WebhookEnabled: one,
  /** Asked for: something to try the endpoint with. */
  WebhookTested: one,
  /** Asked for: a delivery once more. */
  RedeliveryAsked: { ...one, delivery: Schema.String },
  /** One that was given up is off the record. */
  DeliveryDropped: { ...one, delivery: Schema.String },
  /** Asked for: all that came after a place in the log, or from a time on, once more. */
  ReplayAsked: { ...one, after: optional(Schema.Struct({ stream: Schema.String, sequence: Schema.Int })), since: optional(Millis) }
})
export type WebhooksEvent = typeof WebhooksEvent.Type
export const {
  WebhookAdded, WebhookChanged, WebhookRemoved, WebhookKeyRotated, WebhookDisabled, WebhookEnabled, WebhookTested, RedeliveryAsked, DeliveryDropped, ReplayAsked
} = WebhooksEvent.cases

export const WebhooksCommand = Schema.TaggedUnion({
  AddWebhook: { ...one, settings: WebhookSettings, key: Sealed },
  ChangeWebhook: { ...one, settings: WebhookSettings },
  RemoveWebhook: one,
  RotateWebhookKey: { ...one, key: Sealed, oldUntil: Millis },
  DisableWebhook: { ...one, because: DisabledBecause, failingSince: optional(Millis), lastError: optional(Schema.String) },
  EnableWebhook: one,
  TestWebhook: one,
  AskRedelivery: { ...one, delivery: Schema.String },
  /** Many at once. */
  AskRedeliveries: { ...one, deliveries: Schema.NonEmptyArray(Schema.String) },
  DropDeliveries: { ...one, deliveries: Schema.NonEmptyArray(Schema.String) },
  AskReplay: { ...one, after: optional(Schema.Struct({ stream: Schema.String, sequence: Schema.Int })), since: optional(Millis) }
})
export type WebhooksCommand = typeof WebhooksCommand.Type
export const {
  AddWebhook, ChangeWebhook, RemoveWebhook, RotateWebhookKey, DisableWebhook, EnableWebhook, TestWebhook, AskRedelivery, AskRedeliveries, DropDeliveries,
  AskReplay
} = WebhooksCommand.cases

export class WebhooksRejected extends Schema.TaggedError<WebhooksRejected>()("WebhooksRejected", {
  reason: Schema.Literals(["TooMany", "NotFound", "Disabled"])
}) {}

export const mostWebhooks = 100

export interface Webhook {
  readonly settings: WebhookSettings
  /** The newest first; two at most. The last counts until `oldUntil`. */
  readonly keys: ReadonlyArray<Sealed>
  readonly oldUntil: number | undefined
  readonly disabled: Omit<typeof WebhookDisabled.Type, "_tag" | "webhookId"> | undefined
}
export type WebhooksOfTenant = ReadonlyMap<WebhookId, Webhook>

const initial: WebhooksOfTenant = new Map()

const evolve = (webhooks: WebhooksOfTenant, event: WebhooksEvent): WebhooksOfTenant => {
  const after = new Map(webhooks)
  const known = webhooks.get(event.webhookId)
  if (event._tag === "WebhookAdded") after.set(event.webhookId, { settings: event.settings, keys: [event.key], oldUntil: undefined, disabled: undefined })
  else if (event._tag === "WebhookRemoved") after.delete(event.webhookId)
  else if (known !== undefined) after.set(event.webhookId, changed(known, event))
  return after
}

const changed = (webhook: Webhook, event: WebhooksEvent): Webhook => {
  switch (event._tag) {
    case "WebhookChanged":
      return { ...webhook, settings: event.settings }
    case "WebhookKeyRotated":
      return { ...webhook, keys: [event.key, ...webhook.keys.slice(0, 1)], oldUntil: event.oldUntil }
    case "WebhookDisabled": {
      const { _tag, webhookId: _id, ...disabled } = event
      return { ...webhook, disabled }
    }
    case "WebhookEnabled":
      return { ...webhook, disabled: undefined }
    case "WebhookAdded":
    case "WebhookRemoved":
    case "WebhookTested":
    case "RedeliveryAsked":
    case "DeliveryDropped":
    case "ReplayAsked":
      return webhook
  }
}

type Decision = Result.Result<ReadonlyArray<WebhooksEvent>, WebhooksRejected>

const decide = (command: WebhooksCommand, webhooks: WebhooksOfTenant): Decision => {
  const { _tag, ...fields } = command
  const known = webhooks.get(command.webhookId)
  if (command._tag === "AddWebhook") {
    if (known !== undefined) return nothing
    if (webhooks.size >= mostWebhooks) return reject("TooMany")
    const { key, settings, webhookId } = command
    return Result.succeed([WebhookAdded.make({ webhookId, settings, key })])
  }
  if (known === undefined) return reject("NotFound")
  switch (command._tag) {
    case "ChangeWebhook":
      return sameSettings(known.settings, command.settings) ? nothing : Result.succeed([WebhookChanged.make(fields as typeof WebhookChanged.Type)])
    case "RemoveWebhook":
      return Result.succeed([WebhookRemoved.make(fields)])
    case "RotateWebhookKey":
      return Result.succeed([WebhookKeyRotated.make(fields as typeof WebhookKeyRotated.Type)])
    case "DisableWebhook":
      return known.disabled === undefined ? Result.succeed([WebhookDisabled.make(fields as typeof WebhookDisabled.Type)]) : nothing
    case "EnableWebhook":
      return known.disabled === undefined ? nothing : Result.succeed([WebhookEnabled.make(fields)])
    case "TestWebhook":
      return Result.succeed([WebhookTested.make(fields)])
    case "AskRedelivery":
      return whileEnabled(known, [RedeliveryAsked.make(fields as typeof RedeliveryAsked.Type)])
    case "AskRedeliveries":
      return whileEnabled(known, command.deliveries.map((delivery) => RedeliveryAsked.make({ webhookId: command.webhookId, delivery })))
    case "DropDeliveries":
      return Result.succeed(command.deliveries.map((delivery) => DeliveryDropped.make({ webhookId: command.webhookId, delivery })))
    case "AskReplay":
      return whileEnabled(known, [ReplayAsked.make(fields as typeof ReplayAsked.Type)])
  }
}

export const WebhooksDecider: Decider<WebhooksOfTenant, WebhooksEvent, WebhooksCommand, WebhooksRejected> = { initial, evolve, decide }

const nothing: Decision = Result.succeed([])
const reject = (reason: WebhooksRejected["reason"]): Decision => Result.fail(new WebhooksRejected({ reason }))

/** Nothing is sent to a webhook that is disabled, but for tests. */
const whileEnabled = ({ disabled }: Webhook, events: ReadonlyArray<WebhooksEvent>): Decision =>
  disabled === undefined ? Result.succeed(events) : reject("Disabled")

const sameSettings = Schema.toEquivalence(WebhookSettings)

/** Those that what is sent at that time is signed with. */
export const liveKeys = ({ keys, oldUntil = 0 }: Webhook, now: number): ReadonlyArray<Sealed> => now < oldUntil ? keys : keys.slice(0, 1)
