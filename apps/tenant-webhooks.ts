/** A tenant's webhooks as the log has them. */
import { Effect } from "effect"
import { fold } from "../domain/decider.ts"
import type { TenantId } from "../domain/ids.ts"
import { EventLog, LogUnavailable } from "../domain/ports/event-log.ts"
import { type Recorded, webhooksRef } from "../domain/recorded.ts"
import { type Webhook, type WebhooksCommand, WebhooksDecider, type WebhooksEvent } from "../domain/webhooks.ts"
import type { WebhookId } from "../domain/webhook-settings.ts"
import type { Intent } from "./execute.ts"

const read = Effect.fnUntraced(function*(tenantId: TenantId) {
  const { recorded, revision } = yield* (yield* EventLog).read(webhooksRef(tenantId))
  return { recorded, revision, webhooks: fold(WebhooksDecider, recorded.flatMap(({ events }) => events)) }
})

/** With when it was added, and by whom. */
export interface KnownWebhook extends Webhook, Pick<Recorded, "at" | "actor"> {
  readonly webhookId: WebhookId
}

const about = (recorded: ReadonlyArray<Recorded<"webhooks">>, webhookId: WebhookId, tag: WebhooksEvent["_tag"]) =>
  recorded.findLast(({ events }) => events.some((event) => event._tag === tag && event.webhookId === webhookId))

/** In the order in which they were added. */
export const knownWebhooks = (tenantId: TenantId) =>
  Effect.map(read(tenantId), ({ recorded, webhooks }) =>
    [...webhooks].map(([webhookId, webhook]): KnownWebhook => {
      const { actor, at } = about(recorded, webhookId, "WebhookAdded")!
      return { webhookId, ...webhook, at, actor }
    }))

/** Answers what was decided, and as which revision. */
export const executeOnWebhooks = Effect.fnUntraced(
  function*({ actor, at, messageId, tenantId, trace }: Intent, command: WebhooksCommand) {
    const { revision, webhooks } = yield* read(tenantId)
    const [first, ...others] = yield* Effect.fromResult(WebhooksDecider.decide(command, webhooks))
    if (first === undefined) return undefined
    const decision = { messageId, at, actor, ...(trace !== undefined && { trace }), events: [first, ...others] as const }
    yield* (yield* EventLog).append(webhooksRef(tenantId), revision, decision)
    return { events: [first, ...others], revision: revision + 1 }
  },
  Effect.retry({ while: (error) => error._tag === "WrongRevision", times: 10 }),
  Effect.catchTag("WrongRevision", () => new LogUnavailable({ message: "the tenant's webhooks are changing too fast to be written" }))
)
