/** Every tenant's policy, folded from the file and what operators have set. */
import type { TenantId } from "./ids.ts"
import { type Policy, type PolicyFile, policyOf } from "./policy.ts"
import type { Recorded } from "./recorded.ts"

/** Mutable; one fiber owns it. */
export class Policies {
  readonly #file: PolicyFile
  readonly #overrides: Map<TenantId, Policy>

  constructor(file: PolicyFile = {}, overrides: Iterable<readonly [TenantId, Policy]> = []) {
    this.#file = file
    this.#overrides = new Map(overrides)
  }

  record({ events, tenantId }: Recorded<"account">): void {
    for (const event of events) {
      if (event._tag === "PolicySet") this.#overrides.set(tenantId, event.policy)
      if (event._tag === "PolicyCleared") this.#overrides.delete(tenantId)
    }
  }

  of(tenantId: TenantId): Policy {
    return policyOf(this.#file, tenantId, this.#overrides.get(tenantId))
  }

  /** For a snapshot, to be given to the constructor again. */
  get overrides(): ReadonlyArray<readonly [TenantId, Policy]> {
    return [...this.#overrides]
  }
}
