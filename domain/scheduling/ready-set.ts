/** Jobs that may run now, by the queue they need; tenants take turns, and inside a tenant who came first goes first. */
import type { OpenJob } from "./open-jobs.ts"
import { keyOf } from "./open-jobs.ts"

/** Insertion order is the turn: whoever was served goes to the end. */
type Turns = Map<string, Map<string, OpenJob>>

export class ReadySet {
  readonly #queues = new Map<string, Turns>()
  readonly #delayed = new Map<string, OpenJob>()

  /** Waits until `notBefore` if that lies ahead. */
  add(queue: string, job: OpenJob, now: number): void {
    if (job.notBefore !== undefined && job.notBefore > now) {
      this.#delayed.set(key(job), job)
      return
    }
    const turns = this.#queues.get(queue) ?? new Map<string, Map<string, OpenJob>>()
    this.#queues.set(queue, turns)
    const jobs = turns.get(job.tenantId) ?? new Map<string, OpenJob>()
    turns.set(job.tenantId, jobs)
    jobs.set(key(job), job)
  }

  remove(queue: string, job: OpenJob): void {
    this.#delayed.delete(key(job))
    const turns = this.#queues.get(queue)
    const jobs = turns?.get(job.tenantId)
    if (jobs?.delete(key(job)) && jobs.size === 0) turns!.delete(job.tenantId)
  }

  /** Those whose delay is over. */
  ripe(now: number): ReadonlyArray<OpenJob> {
    const ripe = [...this.#delayed.values()].filter(({ notBefore }) => notBefore! <= now)
    for (const job of ripe) this.#delayed.delete(key(job))
    return ripe
  }

  take(queue: string): OpenJob | undefined {
    const turns = this.#queues.get(queue)
    const [turn] = turns ?? []
    if (turns === undefined || turn === undefined) return undefined
    const [tenantId, jobs] = turn
    const [first] = jobs.values()
    jobs.delete(key(first!))
    turns.delete(tenantId)
    if (jobs.size > 0) turns.set(tenantId, jobs)
    return first
  }

  waiting(queue: string): number {
    let count = 0
    for (const jobs of this.#queues.get(queue)?.values() ?? []) count += jobs.size
    return count
  }

  queues(): Iterable<string> {
    return this.#queues.keys()
  }
}

const key = (job: OpenJob) => keyOf(job.tenantId, job.composeId, job.jobId)
