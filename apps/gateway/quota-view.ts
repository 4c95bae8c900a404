import { type Account, bytesOf, freesAt, usedIn } from "../../domain/account.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { Policy } from "../../domain/policy.ts"
import { spanText } from "../../domain/policy-document.ts"
import type { QuotaRule, QuotaView } from "./api/tenants-api.ts"

/** Every rule of the policy with what is used of it now. */
export const quotaView = (tenant: TenantId, account: Account, policy: Policy, running: number, now: number): QuotaView => {
  const { composes = [], runningJobs, storedBytes } = policy
  const windows = composes.map((window): QuotaRule => {
    const used = usedIn(account, window, now)
    const frees = freesAt(account, window, used, now)
    return {
      ...ruleOf("composes", window.count, used), window: spanText(window.windowMs),
      ...(frees !== undefined && { resets_at: new Date(frees).toISOString() })
    }
  })
  const stored = bytesOf(account)
  return {
    tenant,
    rules: [
      ...windows,
      ...(storedBytes === undefined ? [] : [ruleOf("stored_bytes", storedBytes, stored)]),
      ...(runningJobs === undefined ? [] : [ruleOf("running_jobs", runningJobs, running)])
    ],
    running_jobs: running,
    stored_bytes: stored
  }
}

const ruleOf = (rule: QuotaRule["rule"], limit: number, used: number) => ({ rule, limit, used, remaining: Math.max(0, limit - used) })
