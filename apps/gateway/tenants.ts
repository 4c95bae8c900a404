/** The handlers of quotas and policies. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { v7 } from "uuid"
import { type AccountCommand, ClearPolicy, SetPolicy } from "../../domain/account.ts"
import { Millis, type TenantId } from "../../domain/ids.ts"
import { type PolicyFile, policyOf } from "../../domain/policy.ts"
import { StandingPolicies } from "../../domain/ports/standing-policies.ts"
import { RunningJobs } from "../../projections/running-jobs.ts"
import { Accounts } from "../accounts.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { GatewayConfig } from "./config.ts"
import { orUnavailable } from "./find-compose.ts"
import { operator, operatorOf } from "./operators.ts"
import { quotaView } from "./quota-view.ts"

export const TenantsLive = HttpApiBuilder.group(KilnApi, "tenants", Effect.fnUntraced(function*(handlers) {
  const accounts = yield* Accounts
  const runningJobs = yield* RunningJobs
  const file = yield* StandingPolicies
  const { operatorTenant } = yield* GatewayConfig

  const quota = Effect.fnUntraced(function*(tenantId: TenantId) {
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
    quota: () => Effect.flatMap(CurrentIdentity, ({ tenantId }) => quota(tenantId)),
    tenantQuota: ({ params: { tenant } }) => Effect.andThen(operatorOf(operatorTenant, tenant), quota(tenant)),
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
