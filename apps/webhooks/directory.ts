/** All tenants' webhooks, as the log has told of them so far. */
import { fold } from "../../domain/decider.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { Position, Recorded } from "../../domain/recorded.ts"
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

export class Directory {
  readonly #tenants = new Map<TenantId, Tenant>()

  /** Whose webhooks they are, the same decision again included. Answers those that begin with it. */
  take({ at, events, position, revision, tenantId }: Recorded<"webhooks">): ReadonlyArray<WebhookId> {
    const known = this.#tenants.get(tenantId) ?? nobody
    if (revision <= known.revision) return []
    const beginning = events.filter(({ _tag }) => _tag === "WebhookAdded" || _tag === "WebhookEnabled").map(({ webhookId }) => webhookId)
    const began = beginning.length === 0 ? known.began : new Map([...known.began, ...beginning.map((id) => [id, { ...position, at }] as const)])
    this.#tenants.set(tenantId, { revision, webhooks: fold(WebhooksDecider, events, known.webhooks), began })
    return beginning
  }

  has(tenantId: TenantId): boolean {
    return (this.#tenants.get(tenantId)?.webhooks.size ?? 0) > 0
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
