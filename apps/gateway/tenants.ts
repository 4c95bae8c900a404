/** The handlers of quotas and policies. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { v7 } from "uuid"
import { type AccountCommand, AccountDecider, ClearPolicy, SetPolicy } from "../../domain/account.ts"
import { fold } from "../../domain/decider.ts"
import { Millis, type TenantId } from "../../domain/ids.ts"
import { type PolicyFile, policyOf } from "../../domain/policy.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { StandingPolicies } from "../../domain/ports/standing-policies.ts"
import { accountRef } from "../../domain/recorded.ts"
import { RunningJobs } from "../../projections/running-jobs.ts"
import { Accounts } from "../accounts.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { GatewayConfig } from "./config.ts"
import { asOf, orUnavailable } from "./find-compose.ts"
import { operator, operatorOf } from "./operators.ts"
import { quotaView } from "./quota-view.ts"

export const TenantsLive = HttpApiBuilder.group(KilnApi, "tenants", Effect.fnUntraced(function*(handlers) {
  const accounts = yield* Accounts
  const log = yield* EventLog
  const runningJobs = yield* RunningJobs
  const file = yield* StandingPolicies
  const { operatorTenant } = yield* GatewayConfig

  /** By the policy file of today, which has no history. */
  const quotaAt = Effect.fnUntraced(function*(tenantId: TenantId, time: string) {
    const at = Date.parse(time)
    const [{ recorded }, running] = yield* Effect.all([log.read(accountRef(tenantId)), runningJobs.count(tenantId, at)], { concurrency: 2 }).pipe(orUnavailable)
    const account = fold(AccountDecider, asOf(recorded, time).flatMap(({ events }) => events))
    return quotaView(tenantId, account, policyOf(file, tenantId, account.override), running, at)
  })

  const quota = Effect.fnUntraced(function*(tenantId: TenantId, time: string | undefined) {
    if (time !== undefined) return yield* quotaAt(tenantId, time)
    const [account, running] = yield* Effect.all([accounts.read(tenantId), runningJobs.count(tenantId)], { concurrency: 2 }).pipe(orUnavailable)
    return quotaView(tenantId, account, policyOf(file, tenantId, account.override), running, yield* Clock.currentTimeMillis)
  })

  const change = Effect.fnUntraced(function*(tenantId: TenantId, command: AccountCommand) {
    const { role, subject } = yield* operator(operatorTenant)
    const at = Millis.make(yield* Clock.currentTimeMillis)
    const { after } = yield* orUnavailable(accounts.execute({ tenantId, messageId: v7(), at, actor: { kind: role, id: subject } }, command))
    return viewOf(file, tenantId, after.override)
  })

  return handlers.handleAll({
    quota: ({ query: { as_of } }) => Effect.flatMap(CurrentIdentity, ({ tenantId }) => quota(tenantId, as_of)),
    tenantQuota: ({ params: { tenant }, query: { as_of } }) => Effect.andThen(operatorOf(operatorTenant, tenant), quota(tenant, as_of)),
    policy: Effect.fnUntraced(function*({ params: { tenant } }) {
      yield* operatorOf(operatorTenant, tenant)
      return viewOf(file, tenant, (yield* orUnavailable(accounts.read(tenant))).override)
    }),
    setPolicy: ({ params: { tenant }, payload }) => change(tenant, SetPolicy.make({ policy: payload })),
    clearPolicy: ({ params: { tenant } }) => change(tenant, ClearPolicy.make({}))
  })
}))

const viewOf = (file: PolicyFile, tenant: TenantId, set: PolicyFile["defaults"]) => ({
  tenant, policy: policyOf(file, tenant, set), ...(set !== undefined && { set }), standing: policyOf(file, tenant, undefined)
})
