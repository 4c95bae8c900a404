/** All tenants' webhooks, as the log has told of them so far. */
import { fold } from "../../domain/decider.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { AggregateKind, Position, Recorded } from "../../domain/recorded.ts"
import { type Webhook, WebhooksDecider, type WebhooksOfTenant } from "../../domain/webhooks.ts"
import type { WebhookId } from "../../domain/webhook-settings.ts"

interface Tenant {
  readonly revision: number
  readonly webhooks: WebhooksOfTenant
  /** Where each was added, or enabled last: of what came before it is not told. */
  readonly began: ReadonlyMap<WebhookId, Began>
}

export interface Began extends Position {
  readonly at: number
}

const nobody: Tenant = { revision: 0, webhooks: new Map(), began: new Map() }

/** Those that are told of things from this decision on. */
export const beginningIn = ({ events }: Recorded<"webhooks">): ReadonlyArray<WebhookId> =>
  events.flatMap(({ _tag, webhookId }) => _tag === "WebhookAdded" || _tag === "WebhookEnabled" ? [webhookId] : [])

export class Directory {
  readonly #tenants = new Map<TenantId, Tenant>()
  readonly #listening = new Set<TenantId>()

  /** The same decision again changes nothing. */
  take(recorded: Recorded<"webhooks">): void {
    const { at, events, position, revision, tenantId } = recorded
    const known = this.#tenants.get(tenantId) ?? nobody
    if (revision <= known.revision) return
    const beginning = beginningIn(recorded)
    const began = beginning.length === 0 ? known.began : new Map([...known.began, ...beginning.map((id) => [id, { ...position, at }] as const)])
    const webhooks = fold(WebhooksDecider, events, known.webhooks)
    this.#tenants.set(tenantId, { revision, webhooks, began })
    if (isAnyEnabled(webhooks)) this.#listening.add(tenantId)
    else this.#listening.delete(tenantId)
  }

  /** Those who have a webhook that is enabled. */
  get listening(): ReadonlySet<TenantId> {
    return this.#listening
  }

  /** Whether anybody may have to be told of it: of webhooks also those that are disabled. */
  isHeard(recorded: Pick<Recorded, "tenantId" | "at" | "position"> & { readonly aggregate: AggregateKind }): boolean {
    const { aggregate, tenantId } = recorded
    for (const [webhookId, { disabled }] of this.of(tenantId)) {
      if ((disabled === undefined || aggregate === "webhooks") && !this.isBefore(tenantId, webhookId, recorded)) return true
    }
    return false
  }

  of(tenantId: TenantId): WebhooksOfTenant {
    return this.#tenants.get(tenantId)?.webhooks ?? nobody.webhooks
  }

  get(tenantId: TenantId, webhookId: WebhookId): Webhook | undefined {
    return this.of(tenantId).get(webhookId)
  }

  /** Places in different streams are compared by time. */
  isBefore(tenantId: TenantId, webhookId: WebhookId, { at, position }: Pick<Recorded, "at" | "position">): boolean {
    const began = this.#tenants.get(tenantId)?.began.get(webhookId)
    if (began === undefined) return false
    return position.stream === began.stream ? position.sequence < began.sequence : at < began.at
  }
}

const isAnyEnabled = (webhooks: WebhooksOfTenant): boolean => [...webhooks.values()].some(({ disabled }) => disabled === undefined)
