/** What the scheduler's loops share: its memory, and how far into the log that reaches. Only what cannot be interrupted changes it. */
import type { JobKind } from "../../domain/job.ts"
import { PoolId, poolsOf, type TenantId } from "../../domain/ids.ts"
import { Policies } from "../../domain/policies.ts"
import type { PolicyFile } from "../../domain/policy.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import type { RunningJob } from "../../domain/scheduling/open-jobs.ts"
import { usualLimits } from "../../domain/target-limits.ts"
import type { Claim, Speaker } from "../../domain/work.ts"
import { Scheduler } from "../../domain/scheduling/scheduler.ts"
import { Shares } from "../../domain/scheduling/shares.ts"
import { ComposeCache } from "./compose-cache.ts"

export interface DeskOptions {
  readonly policyFile: PolicyFile
  readonly lostAfterMs: number
  readonly deadlineMs: (kind: JobKind) => number
}

export class Desk {
  readonly scheduler: Scheduler
  readonly cache = new ComposeCache()
  policies: Policies
  /** The last sequence taken in, by stream. */
  positions: Record<string, number> = {}
  readonly #file: PolicyFile
  #shares: Shares

  constructor({ deadlineMs, lostAfterMs, policyFile }: DeskOptions, now: number) {
    this.#file = policyFile
    this.policies = new Policies(policyFile)
    this.#shares = new Shares(this.policies, policyFile, sharedPool)
    const lostAfter = (pool: PoolId) => policyFile.pools?.[pool]?.lostAfterMs ?? lostAfterMs
    const limits = { ...usualLimits, ...policyFile.targets }
    this.scheduler = new Scheduler({ deadlineMs, limits, lostAfterMs: lostAfter, now, shareOf: (tenantId) => this.#shares.of(tenantId) })
  }

  /** Takes up what a snapshot says of how things were at its positions. */
  restore({ overrides, positions }: { readonly overrides: Policies["overrides"]; readonly positions: Readonly<Record<string, number>> }): void {
    this.policies = new Policies(this.#file, overrides)
    this.#shares = new Shares(this.policies, this.#file, sharedPool)
    this.positions = { ...positions }
  }

  /** Whether this attempt is this worker's, by what was given out or by what was just recorded and has not come back yet. */
  owns(speaker: Speaker, claim: Claim): boolean {
    if (this.scheduler.owns(speaker, claim)) return true
    // What is recorded has workers by name alone, and another pool may have one of that name.
    if (!poolsOf(speaker.scope).includes(this.#shares.of(claim.tenantId).pool)) return false
    const job = this.cache.get(claim.tenantId, claim.composeId)?.compose.jobs.get(claim.jobId)
    return job?.state === "running" && job.worker === speaker.worker && job.token === claim.token
  }

  poolOf(tenantId: TenantId): PoolId {
    return this.#shares.of(tenantId).pool
  }

  /** Answers with the attempts whose workers have to be told that they are canceled. */
  record(entry: LogEntry, now: number): ReadonlyArray<RunningJob> {
    this.positions[entry.position.stream] = entry.position.sequence
    if (entry._tag === "Unreadable") return []
    if (entry.aggregate === "compose") {
      this.cache.record(entry)
      return this.scheduler.record(entry, now)
    }
    if (entry.aggregate === "credentials") this.scheduler.setsChanged(entry.tenantId)
    if (entry.aggregate === "account" && entry.events.some(({ _tag }) => _tag === "PolicySet" || _tag === "PolicyCleared")) {
      this.policies.record(entry)
      this.#shares.forget(entry.tenantId)
      this.scheduler.policyChanged(entry.tenantId)
    }
    return []
  }
}

/** Of all tenants that have no other. */
export const sharedPool = PoolId.make("default")
