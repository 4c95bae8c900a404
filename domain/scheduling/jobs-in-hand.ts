/** Jobs that workers have, on their queues or running, and which of them nobody will bring to an end any more. */
import type { JobKind } from "../job.ts"
import type { Heartbeat, Lying, Speaker } from "../work.ts"
import type { Fleet } from "./fleet.ts"
import type { OpenJob, RunningJob } from "./open-jobs.ts"

export interface Lost {
  readonly job: RunningJob
  readonly reason: string
}

export type TakenJob = OpenJob & { readonly speaker: Speaker }

/** Heartbeats in which a worker may leave out an attempt that is on record as its own. */
const omissionsAllowed = 5

export class JobsInHand {
  readonly #fleet: Fleet
  readonly #assigned = new Set<OpenJob>()
  readonly #running = new Set<RunningJob>()
  /** Heartbeats of its worker, one after the other, that did not name it. */
  readonly #omitted = new Map<RunningJob, number>()

  constructor(fleet: Fleet) {
    this.#fleet = fleet
  }

  /** What lies on workers' queues, and what they run. */
  *values(): Generator<TakenJob, void> {
    for (const job of this.#assigned) yield job as TakenJob
    yield* this.#running
  }

  assign(job: OpenJob): void {
    this.#assigned.add(job)
  }

  run(job: OpenJob): void {
    this.#running.add(job as RunningJob)
  }

  /** Answers whether a worker had it. */
  letGo(job: OpenJob): boolean {
    this.#omitted.delete(job as RunningJob)
    return this.#assigned.delete(job) || this.#running.delete(job as RunningJob)
  }

  isAssigned(job: OpenJob): boolean {
    return this.#assigned.has(job)
  }

  /** Attempts of this worker that it leaves out again and again: it has forgotten them, or never knew that it had them. */
  omitted(speaker: Speaker, { running, session }: Heartbeat): ReadonlyArray<Lost> {
    const said = new Set(running.map(({ token }) => token as string))
    const lost: Array<Lost> = []
    for (const job of this.#running) {
      if (job.speaker !== speaker) continue
      if (said.has(job.token)) {
        this.#omitted.delete(job)
        continue
      }
      const times = (this.#omitted.get(job) ?? 0) + 1
      this.#omitted.set(job, times)
      if (times > omissionsAllowed) lost.push({ job, reason: `worker ${speaker.worker} does not run it any more (session ${session})` })
    }
    return lost
  }

  /** What lies on the queues of workers that will not take it. `olderThan`: or has lain there since before that. */
  deserted(olderThan: number, now: number): ReadonlyArray<OpenJob> {
    return [...this.#assigned].filter((job) => {
      const worker = this.#fleet.get(job.speaker!)
      if (worker?.heartbeat === undefined) return this.#fleet.isLost(job.speaker!, now)
      // Given to an earlier run of it, or lain there for too long.
      return !this.#fleet.isOpen(worker, now) || job.since < Math.max(worker.sessionSince, olderThan)
    })
  }

  /** Assigned before `olderThan`, begun by nobody and on no queue any more. */
  stranded(lying: Iterable<Lying>, olderThan: number): ReadonlyArray<OpenJob> {
    const there = new Set(Array.from(lying, attemptKey))
    return [...this.#assigned].filter((job) => job.since < olderThan && !there.has(attemptKey(job)))
  }

  /** Attempts whose workers have not been heard of for too long. */
  lost(now: number): ReadonlyArray<Lost> {
    return [...this.#running].filter(({ speaker }) => this.#fleet.isLost(speaker, now))
      .map((job) => ({ job, reason: `no word from worker ${job.speaker.worker} for ${this.#fleet.lostAfterMs(job.speaker) / 1000} s` }))
  }

  /** Attempts that run longer than any may. */
  overdue(deadlineMs: (kind: JobKind) => number, now: number): ReadonlyArray<RunningJob> {
    return [...this.#running].filter(({ need, since }) => now - since > deadlineMs(need.kind))
  }

  /** Attempts that a worker had before it began this session. */
  orphans(speaker: Speaker, session: string): ReadonlyArray<Lost> {
    // A report may come twice, the second time long after the session that it tells of.
    if (this.#fleet.isOver(speaker, session)) return []
    return [...this.#running].filter((job) => job.speaker === speaker && !job.token.startsWith(session))
      .map((job) => ({ job, reason: `worker ${speaker.worker} was restarted` }))
  }
}

const attemptKey = ({ attempt, composeId, jobId, tenantId }: Pick<OpenJob, "attempt" | "composeId" | "jobId" | "tenantId">): string =>
  `${tenantId}/${composeId}/${jobId}/${attempt}`
