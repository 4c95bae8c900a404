/** What a tenant may use, and how its pools are cut: set by operators, in a file or by command. */
import { Schema } from "effect"
import { Millis, PoolId, TenantId } from "./ids.ts"
import { TargetLimits } from "./target-limits.ts"

const optional = Schema.optionalKey
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Positive = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** At most `count` composes in any `windowMs` milliseconds. */
export const WindowQuota = Schema.Struct({ count: Count, windowMs: Positive })
export type WindowQuota = typeof WindowQuota.Type

/** A token bucket: `perSecond` refills it, `burst` is what it holds. */
export const RateLimit = Schema.Struct({ perSecond: Schema.Number.check(Schema.isGreaterThan(0)), burst: Positive })
export type RateLimit = typeof RateLimit.Type

/** What is older goes, and what is beyond the newest so many. */
export const KeepRule = Schema.Struct({ maxAgeMs: optional(Schema.Union([Positive, Schema.Literal("forever")])), maxCount: optional(Positive) })
export type KeepRule = typeof KeepRule.Type

/** How long delivered copies stay: `file` in Kiln's own store, `cloud` everywhere else. */
export const Retention = Schema.Struct({ cloud: optional(KeepRule), file: optional(KeepRule) })
export type Retention = typeof Retention.Type

/** What is not said is not limited, except `weight`, which is 1, and `pool`, which is the shared one. */
export const Policy = Schema.Struct({
  /** Its share of the slots beside other tenants. */
  weight: optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))),
  /** Jobs that may run at the same time; more wait. */
  runningJobs: optional(Count),
  /** Where all of its jobs go. */
  pool: optional(PoolId),
  composes: optional(Schema.Array(WindowQuota)),
  storedBytes: optional(Count),
  /** Requests of the whole tenant, and of each of its tokens. */
  tenantRate: optional(RateLimit),
  tokenRate: optional(RateLimit),
  retention: optional(Retention)
})
export type Policy = typeof Policy.Type

export const Pool = Schema.Struct({
  /** Only this tenant's jobs go there. Without it the pool is shared. */
  tenant: optional(TenantId),
  /** Silence after which a worker of this pool counts as lost. */
  lostAfterMs: optional(Millis)
})
export type Pool = typeof Pool.Type

/** What the installation's file says; a tenant's own entry counts before `defaults`. */
export const PolicyFile = Schema.Struct({
  pools: optional(Schema.Record(PoolId, Pool)),
  /** By type of target, in place of the usual limit of each. */
  targets: optional(TargetLimits),
  defaults: optional(Policy),
  tenants: optional(Schema.Record(TenantId, Policy))
})
export type PolicyFile = typeof PolicyFile.Type

/** Field by field: what an operator has set for the tenant, else its entry in the file, else the file's defaults. */
export const policyOf = (file: PolicyFile, tenantId: TenantId, override: Policy | undefined): Policy =>
  ({ ...file.defaults, ...file.tenants?.[tenantId], ...override })

/** Whether its composes have to be counted at all. */
export const hasQuota = ({ composes = [], storedBytes }: Policy): boolean => composes.length > 0 || storedBytes !== undefined
