/** From entries of the log to who is to be told what. */
import { Effect } from "effect"
import type { FactsMemory } from "../../domain/facts-memory.ts"
import type { TenantId } from "../../domain/ids.ts"
import { cloudEvent, type Occurrence } from "../../domain/occurrences.ts"
import type { DeliveryKey, Planned, ReplayOrder, StoredOccurrence } from "../../domain/ports/webhook-deliveries.ts"
import type { LogEntry, Recorded } from "../../domain/recorded.ts"
import type { Webhook } from "../../domain/webhooks.ts"
import { isWanted } from "../../domain/webhook-matches.ts"
import type { WebhookId } from "../../domain/webhook-settings.ts"
import { occurrencesIn } from "../occurrences-in.ts"
import type { Desk } from "./desk.ts"
import type { Directory } from "./directory.ts"

/** A plan in the making. */
export class Draft {
  readonly now = Date.now()
  readonly occurrences: Array<StoredOccurrence> = []
  readonly deliveries: Array<Planned> = []
  readonly redeliveries: Array<DeliveryKey> = []
  readonly dropped: Array<DeliveryKey> = []
  readonly replays: Array<ReplayOrder> = []
  readonly disabled: Array<WebhookId> = []
  readonly removed: Array<WebhookId> = []
  readonly changed: Array<WebhookId> = []
  readonly tenants: Array<TenantId> = []
  readonly #deployment: string

  constructor(deployment: string) {
    this.#deployment = deployment
  }

  get isEmpty(): boolean {
    const { deliveries, disabled, dropped, redeliveries, removed, replays, tenants } = this
    return [deliveries, disabled, dropped, redeliveries, removed, replays, tenants].every((each) => each.length === 0)
  }

  add(tenantId: TenantId, occurrence: Occurrence, webhooks: ReadonlyArray<WebhookId>): void {
    if (webhooks.length === 0) return
    const { about: _, data: _data, only, ...stored } = occurrence
    this.occurrences.push({ ...stored, tenantId, body: cloudEvent(this.#deployment, tenantId, occurrence) })
    for (const webhookId of webhooks) this.deliveries.push({ tenantId, webhookId, occurrence: occurrence.id, lane: occurrence.lane, once: only !== undefined })
  }
}

/** Whether it is told of things at all, and of this one. */
const hears = (webhookId: WebhookId, { disabled, settings }: Webhook, occurrence: Occurrence): boolean =>
  (disabled === undefined || occurrence.only !== undefined) && isWanted(webhookId, settings, occurrence)

/** Those that were there before it happened. */
export const hearersOf = (directory: Directory, recorded: Recorded, occurrence: Occurrence): ReadonlyArray<WebhookId> =>
  [...directory.of(recorded.tenantId)].flatMap(([webhookId, webhook]) =>
    hears(webhookId, webhook, occurrence) && !directory.isBefore(recorded.tenantId, webhookId, recorded) ? [webhookId] : [])

/** Other facts than those of who follows, and which webhooks alone: for what is looked at once more. */
interface Again {
  readonly facts: FactsMemory
  readonly only: ReadonlyArray<WebhookId>
}

/** What is too old to be tried at all is not tried. */
export const tell = Effect.fnUntraced(function*({ directory, facts, retries }: Desk, draft: Draft, recorded: Recorded, again?: Again) {
  if (draft.now - recorded.at >= retries.forMs || !directory.isHeard(recorded)) return
  for (const occurrence of yield* occurrencesIn(again?.facts ?? facts, recorded)) {
    const hearers = hearersOf(directory, recorded, occurrence)
    draft.add(recorded.tenantId, occurrence, again === undefined ? hearers : hearers.filter((each) => again.only.includes(each)))
  }
})

/** What is asked of us in the log. */
export const takeOrders = (draft: Draft, { events, id, revision, tenantId }: Recorded<"webhooks">): void => {
  draft.tenants.push(tenantId)
  for (const [place, event] of events.entries()) {
    const { webhookId } = event
    switch (event._tag) {
      case "WebhookDisabled":
        draft.disabled.push(webhookId)
        break
      case "WebhookRemoved":
        draft.removed.push(webhookId)
        break
      case "RedeliveryAsked":
        draft.redeliveries.push({ tenantId, webhookId, occurrence: event.delivery })
        break
      case "DeliveryDropped":
        draft.dropped.push({ tenantId, webhookId, occurrence: event.delivery })
        break
      case "ReplayAsked":
        draft.replays.push({ tenantId, webhookId, id: `${tenantId}_${id}_${revision}_${place}`, after: event.after, since: event.since })
        break
      case "WebhookAdded":
      case "WebhookChanged":
      case "WebhookKeyRotated":
      case "WebhookEnabled":
      case "WebhookTested":
        draft.changed.push(webhookId)
    }
  }
}

const told: ReadonlySet<string> = new Set(["compose", "pipeline", "webhooks"])
export const isAbout = (entry: LogEntry): entry is Recorded => entry._tag === "Recorded" && told.has(entry.aggregate)
