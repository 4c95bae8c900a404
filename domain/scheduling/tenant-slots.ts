/** How many slots each tenant takes up over all pools, and which lines of jobs wait until it is below its limit. */
import type { TenantId } from "../ids.ts"

interface Tenant<Line> {
  /** Jobs assigned and running. */
  taken: number
  /** Lines that have found the tenant at its limit. */
  readonly held: Set<Line>
}

/** Methods that free something answer with the lines that may go on. */
export class TenantSlots<Line> {
  readonly #tenants = new Map<TenantId, Tenant<Line>>()
  readonly #limitOf: (tenantId: TenantId) => number

  /** `limitOf` is asked each time, so that a change counts at once. */
  constructor(limitOf: (tenantId: TenantId) => number) {
    this.#limitOf = limitOf
  }

  taken(tenantId: TenantId): number {
    return this.#tenants.get(tenantId)?.taken ?? 0
  }

  isAtLimit(tenantId: TenantId): boolean {
    return this.taken(tenantId) >= this.#limitOf(tenantId)
  }

  hold(tenantId: TenantId, line: Line): void {
    this.#of(tenantId).held.add(line)
  }

  occupied(tenantId: TenantId): void {
    this.#of(tenantId).taken += 1
  }

  vacated(tenantId: TenantId): ReadonlyArray<Line> {
    this.#of(tenantId).taken -= 1
    return this.freed(tenantId)
  }

  /** Its limit may have changed. */
  freed(tenantId: TenantId): ReadonlyArray<Line> {
    const held = this.#tenants.get(tenantId)?.held
    if (held === undefined || held.size === 0 || this.isAtLimit(tenantId)) return none
    const lines = [...held]
    held.clear()
    return lines
  }

  #of(tenantId: TenantId): Tenant<Line> {
    const known = this.#tenants.get(tenantId)
    if (known !== undefined) return known
    const tenant: Tenant<Line> = { taken: 0, held: new Set() }
    this.#tenants.set(tenantId, tenant)
    return tenant
  }
}

const none: ReadonlyArray<never> = []
