/**
 * Watches what a scheduler gives out. The bound, for any two tenants A and B in one lane: from one job of B to its next, while
 * B has a job that could have gone instead and is below its limit, at most 1 + weight(A) / weight(B) jobs of A go; before the
 * very first job of B, at most one. It follows from virtual time: A's k-th job within the gap begins k - 1 steps of
 * 1 / weight(A) after B's last, and goes before B's next only if that is no later than 1 / weight(B) after it. A job that is
 * taken off a dead worker's queue has been its tenant's turn all the same, and a restarted scheduler begins with all tenants level.
 */
import { canDo } from "../../domain/scheduling/fleet.ts"
import type { Lane } from "../../domain/scheduling/lanes.ts"
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"
import type { Assignment, Scheduler } from "../../domain/scheduling/scheduler.ts"
import type { Speaker } from "../../domain/work.ts"
import type { TenantId } from "../../domain/ids.ts"
import type { World } from "./world.ts"

interface Gap {
  wasServed: boolean
  /** Who waited when we last looked: with none of them left, it is another wait. */
  waiting: ReadonlySet<OpenJob>
  readonly others: Map<TenantId, number>
}

export class FairnessWatch {
  readonly #gaps = new Map<Lane, Map<TenantId, Gap>>()
  readonly #scheduler: Scheduler
  readonly #world: World

  constructor(scheduler: Scheduler, world: World) {
    this.#scheduler = scheduler
    this.#world = world
  }

  served(due: ReadonlyArray<Assignment>, limitOf: (tenantId: TenantId) => number): void {
    const { jobs, queue } = this.#scheduler
    // It knows them by themselves from one look to the next, so none may be a copy.
    for (const { tenantId } of jobs.values()) jobs.wake(tenantId)
    const waiting = [...[...jobs.awake()].filter((job) => queue.has(job)), ...due.map(({ job }) => job)]
    const lanes = Map.groupBy(waiting, (job) => queue.laneOf(job))
    for (const [lane, those] of lanes) this.#look(lane, Map.groupBy(those, ({ tenantId }) => tenantId))
    const taken = new Map<TenantId, number>()
    for (const { job } of due) taken.set(job.tenantId, (taken.get(job.tenantId) ?? queue.taken(job.tenantId)) - 1)
    const gone = new Set<OpenJob>()
    for (const { job, speaker } of due) {
      const lane = queue.laneOf(job)
      const [running, limit] = [taken.get(job.tenantId)!, limitOf(job.tenantId)]
      if (running >= limit) this.#world.violated(`limit: a job of ${job.tenantId} goes while ${running} run, ${limit} may`)
      for (const [tenantId, gap] of this.#gaps.get(lane)!) {
        if (tenantId === job.tenantId || (taken.get(tenantId) ?? queue.taken(tenantId)) >= limitOf(tenantId)) continue
        if ([...gap.waiting].some((other) => !gone.has(other) && this.#couldGo(other, speaker))) this.#count(tenantId, gap, job, lane)
      }
      const own = this.#gaps.get(lane)!.get(job.tenantId)!
      own.wasServed = true
      own.others.clear()
      gone.add(job)
      taken.set(job.tenantId, taken.get(job.tenantId)! + 1)
    }
  }

  #look(lane: Lane, jobs: ReadonlyMap<TenantId, ReadonlyArray<OpenJob>>): void {
    const gaps = this.#gaps.get(lane) ?? new Map<TenantId, Gap>()
    this.#gaps.set(lane, gaps)
    for (const [tenantId, gap] of gaps) if (!jobs.has(tenantId)) gap.waiting = new Set()
    for (const [tenantId, own] of jobs) {
      const gap = gaps.get(tenantId) ?? { wasServed: false, waiting: new Set(), others: new Map() }
      gaps.set(tenantId, gap)
      if (!own.some((job) => gap.waiting.has(job))) gap.others.clear()
      gap.waiting = new Set(own)
    }
  }

  #couldGo({ need }: OpenJob, speaker: Speaker): boolean {
    const worker = this.#scheduler.fleet.get(speaker)
    return worker !== undefined && canDo(worker, need) && (need.holder === undefined || need.holder.worker === speaker.worker)
  }

  #count(tenantId: TenantId, gap: Gap, { tenantId: other }: OpenJob, { kind, pool }: Lane): void {
    const count = (gap.others.get(other) ?? 0) + 1
    gap.others.set(other, count)
    const { weightOf } = this.#world
    const bound = gap.wasServed ? Math.floor(1 + weightOf(other) / weightOf(tenantId) + 1e-9) : 1
    if (count > bound) this.#world.violated(`fairness: ${count} jobs of ${other} went before ${tenantId}'s next ${kind} in ${pool}, ${bound} may`)
  }
}
