/**
 * Jobs whose targets name sets of credentials. Where only workers have a set, whoever does the job has to be one of them:
 * it is bound to those workers.
 */
import type { TenantId } from "../ids.ts"
import type { FairQueue } from "./fair-queue.ts"
import type { Fleet } from "./fleet.ts"
import type { Bound, OpenJob } from "./open-jobs.ts"

export class SetBindings {
  readonly #fleet: Fleet
  readonly #queue: FairQueue
  /** Those that wait and name sets of credentials. */
  readonly #naming = new Set<OpenJob>()
  /** Tenants and the sets that they do not have themselves, as far as somebody has looked. */
  readonly #lacking = new Set<string>()

  constructor(fleet: Fleet, queue: FairQueue) {
    this.#fleet = fleet
    this.#queue = queue
  }

  /** Says in the job's need who may do it, as far as is known; before it is put into the queue. */
  bind(job: OpenJob): void {
    if (job.need.sets === undefined) return
    this.#naming.add(job)
    const bound = this.#boundOf(job)
    const { bound: _, ...need } = job.need
    if (!isSameBound(job, bound)) job.need = { ...need, ...(bound && { bound }) }
  }

  letGo(job: OpenJob): void {
    this.#naming.delete(job)
  }

  /** Those in the queue that would be bound otherwise now. */
  outdated(): ReadonlyArray<OpenJob> {
    return [...this.#naming].filter((job) => this.#queue.has(job) && !isSameBound(job, this.#boundOf(job)))
  }

  /** A tenant does not have these sets. Answers whether workers of its pool have, or once had, any of them. */
  lacks(tenantId: TenantId, sets: ReadonlyArray<string>): boolean {
    const pool = this.#queue.poolOf(tenantId)
    const awaited = sets.filter((set) => this.#fleet.hasHeldSet(pool, set, tenantId))
    for (const set of awaited) this.#lacking.add(setKey(tenantId, set))
    return awaited.length > 0
  }

  /** The tenant has stored or removed a set: what it lacks is to be looked up again. */
  forgetLacking(tenantId: TenantId): void {
    for (const key of this.#lacking) if (key.startsWith(setKey(tenantId, ""))) this.#lacking.delete(key)
  }

  /** An operator's set goes before the tenant's of that name: whoever has one does it. */
  #boundOf({ need: { sets = [] }, tenantId }: OpenJob): Bound | undefined {
    const pool = this.#queue.poolOf(tenantId)
    const only = sets.filter((set) => this.#fleet.holdsSet(pool, set, tenantId) || this.#lacking.has(setKey(tenantId, set)))
    return only.length === 0 ? undefined : { tenantId, sets: only }
  }
}

const isSameBound = ({ need: { bound } }: OpenJob, other: Bound | undefined): boolean => bound?.sets.join() === other?.sets.join()

const setKey = (tenantId: TenantId, set: string): string => `${tenantId} ${set}`
