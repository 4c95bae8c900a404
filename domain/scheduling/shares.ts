import type { PoolId, TenantId } from "../ids.ts"
import type { Policies } from "../policies.ts"
import type { PolicyFile } from "../policy.ts"

/** What a tenant may take: which pool's slots, how large a part of them beside others, and how many at once. */
export interface Share {
  readonly pool: PoolId
  readonly weight: number
  readonly runningJobs: number
}

/** What each tenant may take of the slots, by its policy; a pool that belongs to somebody else is nobody's choice. */
export class Shares {
  readonly #known = new Map<TenantId, Share>()
  readonly #owners = new Map<PoolId, TenantId>()
  readonly #own = new Map<TenantId, PoolId>()
  readonly #policies: Policies
  readonly #shared: PoolId

  constructor(policies: Policies, { pools = {} }: PolicyFile, shared: PoolId) {
    this.#policies = policies
    this.#shared = shared
    for (const [pool, { tenant }] of Object.entries(pools)) {
      if (tenant === undefined) continue
      this.#owners.set(pool as PoolId, tenant)
      this.#own.set(tenant, this.#own.get(tenant) ?? pool as PoolId)
    }
  }

  of(tenantId: TenantId): Share {
    const known = this.#known.get(tenantId)
    if (known !== undefined) return known
    const { pool, runningJobs = Infinity, weight = 1 } = this.#policies.of(tenantId)
    const mine = pool !== undefined && (this.#owners.get(pool) ?? tenantId) === tenantId ? pool : undefined
    const share: Share = { pool: mine ?? this.#own.get(tenantId) ?? this.#shared, weight, runningJobs }
    this.#known.set(tenantId, share)
    return share
  }

  /** The tenant's policy has changed. */
  forget(tenantId: TenantId): void {
    this.#known.delete(tenantId)
  }
}
