/** What is to be delivered, what was, and how far the log has been read for it. */
import { Context, type Effect, Schema } from "effect"
import type { TenantId } from "../ids.ts"
import type { Occurrence } from "../occurrences.ts"
import type { Failing, Waiting } from "../webhook-queue.ts"
import type { WebhookId } from "../webhook-settings.ts"

export class DeliveriesUnavailable extends Schema.TaggedError<DeliveriesUnavailable>()("DeliveriesUnavailable", { message: Schema.String }) {}

export const DeliveryState = Schema.Literals(["waiting", "delivered", "parked"])
export type DeliveryState = typeof DeliveryState.Type

/** One webhook's share of an occurrence. The two together name it, however often it is sent. */
export interface DeliveryKey {
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  readonly occurrence: string
}

export interface WaitingDelivery extends Waiting, DeliveryKey {
  readonly plannedAt: number
  /** Tests are tried once. */
  readonly once: boolean
}

/** `body`: what is sent, the same for all webhooks. */
export interface StoredOccurrence extends Pick<Occurrence, "id" | "type" | "subject" | "at" | "lane" | "position"> {
  readonly tenantId: TenantId
  readonly body: string
}

export interface Planned extends DeliveryKey {
  readonly lane: string
  readonly once: boolean
}

export interface ReplayOrder {
  readonly tenantId: TenantId
  readonly webhookId: WebhookId
  /** Of the event that asked for it. */
  readonly id: string
  readonly after: { readonly stream: string; readonly sequence: number } | undefined
  readonly since: number | undefined
}

/** How far it has come in each stream, and how far it goes there: as far as the log went when it began. */
export interface Replay extends ReplayOrder {
  readonly at: Readonly<Record<string, number>>
  readonly upTo: Readonly<Record<string, number>> | undefined
}

/** All that a part of the log has brought, taken in at once with the position after it. */
export interface Plan {
  readonly now: number
  readonly occurrences: ReadonlyArray<StoredOccurrence>
  readonly deliveries: ReadonlyArray<Planned>
  readonly redeliveries: ReadonlyArray<DeliveryKey>
  /** Of these, what was parked is forgotten. */
  readonly dropped: ReadonlyArray<DeliveryKey>
  readonly replays: ReadonlyArray<ReplayOrder>
  readonly disabled: ReadonlyArray<WebhookId>
  readonly removed: ReadonlyArray<WebhookId>
  /** Tenants that have webhooks, so that they are known at the next start. */
  readonly tenants: ReadonlyArray<TenantId>
}

export interface Settled {
  readonly id: number
  readonly state: DeliveryState
  readonly attempts: number
  readonly notBefore: number
  readonly attemptedAt: number
  readonly tookMs: number
  readonly status: number | undefined
  readonly error: string | undefined
  readonly excerpt: string | undefined
}

export interface Figures {
  readonly waiting: number
  /** Of those, what has failed already. */
  readonly failed: number
  readonly parked: number
  readonly oldestAt: number | undefined
}

export class WebhookDeliveries extends Context.Service<WebhookDeliveries, {
  /** Runs as the only one among all processes; others wait. Ends with an error when that is not certain any more. */
  alone<A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<A, E | DeliveriesUnavailable, R>
  readonly positions: Effect.Effect<ReadonlyMap<string, number>, DeliveriesUnavailable>
  readonly tenants: Effect.Effect<ReadonlyArray<TenantId>, DeliveriesUnavailable>
  /** Fails when the position is not `after` any more. Answers what waits anew, in order. */
  take(stream: string, after: number, upTo: number, plan: Plan): Effect.Effect<ReadonlyArray<WaitingDelivery>, DeliveriesUnavailable>
  /** What waits for one after an id, the oldest first. */
  waiting(webhookId: WebhookId, afterId: number, limit: number): Effect.Effect<ReadonlyArray<WaitingDelivery>, DeliveriesUnavailable>
  /** Whom something waits for. */
  readonly awaited: Effect.Effect<ReadonlyArray<WebhookId>, DeliveriesUnavailable>
  body(key: DeliveryKey): Effect.Effect<string | undefined, DeliveriesUnavailable>
  settle(settled: Settled): Effect.Effect<void, DeliveriesUnavailable>
  /** Parks what waits and was planned before then. */
  parkOlder(webhookId: WebhookId, before: number, error: string): Effect.Effect<void, DeliveriesUnavailable>
  readonly failing: Effect.Effect<ReadonlyMap<WebhookId, Failing>, DeliveriesUnavailable>
  setFailing(tenantId: TenantId, webhookId: WebhookId, failing: Failing | undefined): Effect.Effect<void, DeliveriesUnavailable>
  readonly replays: Effect.Effect<ReadonlyArray<Replay>, DeliveriesUnavailable>
  beginReplay(id: string, upTo: Readonly<Record<string, number>>): Effect.Effect<void, DeliveriesUnavailable>
  /** Also what has arrived before waits anew. */
  takeReplay(
    id: string, stream: string, position: number, plan: Pick<Plan, "now" | "occurrences" | "deliveries">
  ): Effect.Effect<ReadonlyArray<WaitingDelivery>, DeliveriesUnavailable>
  endReplay(id: string): Effect.Effect<void, DeliveriesUnavailable>
  /** Forgets what has been settled before then; answers how many. */
  prune(before: number): Effect.Effect<number, DeliveriesUnavailable>
  readonly figures: Effect.Effect<Figures, DeliveriesUnavailable>
}>()("domain/ports/WebhookDeliveries") {}
