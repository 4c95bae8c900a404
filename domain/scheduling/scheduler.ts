/**
 * What to dispatch and whom to give up, decided from the log, the heartbeats and the time it is told.
 * No clock, no I/O: the same inputs in the same order give the same answers.
 */
import type { PoolId, TenantId } from "../ids.ts"
import type { Waiting } from "../ports/work.ts"
import type { Recorded } from "../recorded.ts"
import type { Heartbeat, Speaker } from "../work.ts"
import { Fleet } from "./fleet.ts"
import { keyOf, type OpenJob, OpenJobs } from "./open-jobs.ts"
import { ReadySet } from "./ready-set.ts"

export interface SchedulerConfig {
  readonly poolOf: (tenantId: TenantId) => PoolId
  readonly lostAfterMs: number
  readonly now: number
}

/** An attempt on record as running. */
export type RunningJob = OpenJob & Required<Pick<OpenJob, "worker" | "token">>

export class Scheduler {
  readonly jobs = new OpenJobs()
  readonly fleet: Fleet
  readonly #ready = new ReadySet()
  /** Jobs that lie on a queue or run, by queue: what takes up its slots. */
  readonly #outstanding = new Map<string, Map<string, number>>()
  readonly #poolOf: SchedulerConfig["poolOf"]

  constructor({ poolOf, lostAfterMs, now }: SchedulerConfig) {
    this.#poolOf = poolOf
    this.fleet = new Fleet(lostAfterMs, now)
  }

  /** Takes up where a snapshot and the queues say that things are. */
  restore(jobs: Iterable<OpenJob>, waiting: Iterable<Waiting>, now: number): void {
    this.jobs.load(jobs)
    const lying = new Map([...waiting].map((item) => [keyOf(item.tenantId, item.composeId, item.jobId), item.attempt]))
    for (const job of this.jobs.values()) {
      if (job.worker !== undefined || lying.get(key(job)) === job.attempt) this.#occupy(job, now)
      else this.#ready.add(this.#queueOf(job), job, now)
    }
  }

  /** Answers with the running attempts that were canceled: their workers have to be told. */
  record(recorded: Recorded, now: number): ReadonlyArray<RunningJob> {
    const stop: Array<RunningJob> = []
    for (const { _tag, job, ...change } of this.jobs.record(recorded)) {
      const queue = this.#queueOf(job)
      if (_tag === "Queued") {
        this.#vacate(job)
        this.#ready.add(queue, job, now)
      } else if (_tag === "Started") {
        this.#ready.remove(queue, job)
        this.#occupy(job, now)
      } else {
        this.#ready.remove(queue, job)
        this.#vacate(job)
        if ("canceled" in change && change.canceled && isRunning(job)) stop.push(job)
      }
    }
    return stop
  }

  hear(speaker: Speaker, heartbeat: Heartbeat, now: number): void {
    this.fleet.hear(speaker, heartbeat, now)
  }

  /** Jobs to put on their queues now: as many as there are free slots, and a few so that no worker waits for us. */
  due(now: number): ReadonlyArray<{ readonly pool: PoolId; readonly job: OpenJob }> {
    for (const job of this.#ready.ripe(now)) this.#ready.add(this.#queueOf(job), job, now)
    const due: Array<{ pool: PoolId; job: OpenJob }> = []
    for (const queue of this.#ready.queues()) {
      const [pool, architecture, kind] = queue.split("/") as [PoolId, string, string]
      const slots = this.fleet.slots(pool, architecture, kind, now)
      const depth = slots === 0 ? 0 : slots + Math.ceil(slots / 4)
      while ((this.#outstanding.get(queue)?.size ?? 0) < depth) {
        const job = this.#ready.take(queue)
        if (job === undefined) break
        this.#occupy(job, now)
        due.push({ pool, job })
      }
    }
    return due
  }

  /** The job could not be put on its queue; it waits for the next turn. */
  putBack(job: OpenJob, now: number): void {
    this.#vacate(job)
    if (this.#isCurrent(job)) this.#ready.add(this.#queueOf(job), job, now)
  }

  /** Dispatched a while ago, begun by nobody and on no queue any more: they are dispatched again. */
  recover(waiting: Iterable<Waiting>, olderThan: number, now: number): number {
    const lying = new Set([...waiting].map((item) => keyOf(item.tenantId, item.composeId, item.jobId)))
    const stranded = [...this.jobs.values()].filter((job) =>
      job.worker === undefined && !lying.has(key(job)) && (this.#outstanding.get(this.#queueOf(job))?.get(key(job)) ?? now) < olderThan)
    for (const job of stranded) this.putBack(job, now)
    return stranded.length
  }

  /** Attempts whose workers have not been heard of for too long. */
  lost(now: number): ReadonlyArray<RunningJob> {
    return this.#running(({ worker, tenantId }) => this.fleet.isLost({ pool: this.#poolOf(tenantId), worker }, now))
  }

  /** Attempts that a worker had before it began this session. */
  orphans(speaker: Speaker, session: string): ReadonlyArray<RunningJob> {
    return this.#running(({ worker, tenantId, token }) =>
      worker === speaker.worker && this.#poolOf(tenantId) === speaker.pool && !token.startsWith(session))
  }

  /** Whether a worker of this pool may work for this tenant. */
  serves(speaker: Speaker, tenantId: TenantId): boolean {
    return this.#poolOf(tenantId) === speaker.pool
  }

  #running(filter: (job: RunningJob) => boolean): ReadonlyArray<RunningJob> {
    return [...this.jobs.values()].filter(isRunning).filter(filter)
  }

  #isCurrent(job: OpenJob): boolean {
    const known = this.jobs.get(job.tenantId, job.composeId, job.jobId)
    return known !== undefined && known.revision === job.revision && known.worker === undefined
  }

  #occupy(job: OpenJob, now: number): void {
    const queue = this.#queueOf(job)
    const taken = this.#outstanding.get(queue) ?? new Map<string, number>()
    this.#outstanding.set(queue, taken)
    if (!taken.has(key(job))) taken.set(key(job), now)
  }

  #vacate(job: OpenJob): void {
    this.#outstanding.get(this.#queueOf(job))?.delete(key(job))
  }

  #queueOf({ tenantId, architecture, kind }: OpenJob): string {
    return `${this.#poolOf(tenantId)}/${architecture}/${kind}`
  }
}

const isRunning = (job: OpenJob): job is RunningJob => job.worker !== undefined && job.token !== undefined

const key = (job: OpenJob) => keyOf(job.tenantId, job.composeId, job.jobId)
