/** Webhooks and their deliveries as the API shows them. */
import type { WebhookSettings } from "../../domain/webhook-settings.ts"
import type { DeliveryRow } from "../../projections/webhook-log.ts"
import type { KnownWebhook } from "../tenant-webhooks.ts"
import type { DeliveryItem, WebhookChange, WebhookRequest, WebhookView } from "./api/webhooks-api.ts"
import { time } from "./compose-details.ts"

export const settingsOf = ({ filter, ...settings }: WebhookRequest): WebhookSettings => ({ ...settings, ...(filter !== undefined && { filter: filterOf(filter) }) })

const filterOf = ({ image_types: imageTypes, ...filter }: NonNullable<WebhookRequest["filter"]>): NonNullable<WebhookSettings["filter"]> =>
  ({ ...filter, ...(imageTypes !== undefined && { imageTypes }) })

/** What is left out stays, what is null goes. */
export const changedSettings = (known: WebhookSettings, { filter, ...change }: Omit<WebhookChange, "enabled">): WebhookSettings => {
  const changed = { ...known, ...change, ...(filter !== undefined && { filter: filter === null ? null : filterOf(filter) }) }
  return Object.fromEntries(Object.entries(changed).filter(([, value]) => value !== null)) as unknown as WebhookSettings
}

export const webhookView = (
  { actor, at, disabled, oldUntil, settings: { filter, ...settings }, webhookId }: KnownWebhook, failingSince: number | undefined
): WebhookView => ({
  id: webhookId,
  ...settings,
  ...(filter !== undefined && { filter: filterView(filter) }),
  status: disabled === undefined ? "enabled" : "disabled",
  ...(disabled !== undefined && {
    disabled: {
      because: disabled.because, ...(disabled.failingSince !== undefined && { failing_since: time(disabled.failingSince) }),
      ...(disabled.lastError !== undefined && { last_error: disabled.lastError })
    }
  }),
  ...(failingSince !== undefined && { failing_since: time(failingSince) }),
  ...(oldUntil !== undefined && oldUntil > Date.now() && { old_secret_until: time(oldUntil) }),
  added_at: time(at),
  added_by: actor.id
})

const filterView = ({ imageTypes, ...filter }: NonNullable<WebhookSettings["filter"]>) =>
  ({ ...filter, ...(imageTypes !== undefined && { image_types: imageTypes }) })

export const deliveryItem = (
  { at, attemptedAt, attempts, error, excerpt, notBefore, occurrence, plannedAt, sequence, state, status, stream, subject, tookMs, type }: DeliveryRow
): DeliveryItem => ({
  event: occurrence, type, subject, at: time(at), position: `${stream}:${sequence}`, status: state, attempts, planned_at: time(plannedAt),
  ...(attempts > 0 && attemptedAt !== null && { attempted_at: time(attemptedAt) }),
  ...(state === "waiting" && attempts > 0 && { next_attempt_at: time(notBefore) }),
  ...(tookMs !== null && { took_ms: tookMs }), ...(status !== null && { http_status: status }),
  ...(error !== null && { error }), ...(excerpt !== null && { response: excerpt })
})
