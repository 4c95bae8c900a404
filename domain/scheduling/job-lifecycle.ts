/**
 * The states of an open job: delayed until its time has come, ready in the fair queue, assigned to a worker, running; and what
 * is counted with each of them.
 */
import type { Speaker } from "../work.ts"
import type { FairQueue } from "./fair-queue.ts"
import type { Fleet } from "./fleet.ts"
import { Heap } from "./heap.ts"
import type { JobsInHand } from "./jobs-in-hand.ts"
import type { OpenJob, OpenJobs } from "./open-jobs.ts"
import type { SetBindings } from "./set-bindings.ts"

interface Counted {
  readonly jobs: OpenJobs
  readonly fleet: Fleet
  readonly queue: FairQueue
  readonly inHand: JobsInHand
  readonly bindings: SetBindings
}

interface Delayed {
  readonly job: OpenJob
  /** Milliseconds since 1970. */
  readonly until: number
}

export class JobLifecycle {
  readonly #jobs: OpenJobs
  readonly #fleet: Fleet
  readonly #queue: FairQueue
  readonly #inHand: JobsInHand
  readonly #bindings: SetBindings
  readonly #delayed = new Heap<Delayed>((one, other) => one.until < other.until)

  constructor({ bindings, fleet, inHand, jobs, queue }: Counted) {
    this.#jobs = jobs
    this.#fleet = fleet
    this.#queue = queue
    this.#inHand = inHand
    this.#bindings = bindings
  }

  /** A job that is queued: it is delayed or ready from now on. */
  admit(job: OpenJob, now: number): void {
    if (job.notBefore > now) {
      job.state = "delayed"
      this.#delayed.push({ job, until: job.notBefore })
    } else {
      job.state = "ready"
      this.wait(job)
    }
  }

  /** Those that are delayed and whose time has come are ready. */
  ripen(now: number): void {
    for (let next = this.#delayed.peek(); next !== undefined && next.until <= now; next = this.#delayed.peek()) {
      const { job } = this.#delayed.pop()!
      if (job.state === "delayed" && this.#jobs.get(job.tenantId, job.composeId, job.jobId) === job) this.admit(job, now)
    }
  }

  /** It is in the queue from now on. */
  wait(job: OpenJob): void {
    this.#bindings.bind(job)
    this.#queue.add(job)
  }

  /** What decides where it waits may be another thing now. */
  requeue(job: OpenJob): void {
    this.#queue.remove(job)
    this.wait(job)
  }

  assign(job: OpenJob, speaker: Speaker, now: number, sequence = 0): void {
    this.#queue.remove(job)
    job.state = "assigned"
    job.speaker = this.#jobs.speaker(speaker.scope, speaker.worker)
    job.since = now
    job.sequence = sequence
    this.#inHand.assign(job)
    this.#occupy(job, now)
  }

  run(job: OpenJob, speaker: Speaker, now: number): void {
    job.state = "running"
    job.speaker = this.#jobs.speaker(speaker.scope, speaker.worker)
    this.#inHand.run(job)
    this.#occupy(job, now)
  }

  /** It neither waits nor takes up a slot after this. */
  letGo(job: OpenJob, now: number): void {
    this.#queue.remove(job)
    this.#bindings.letGo(job)
    if (this.#inHand.letGo(job)) {
      this.#fleet.vacate(job.speaker!, job.need.kind, now)
      this.#queue.vacated(job)
    }
    job.state = "ready"
    job.speaker = undefined
    job.token = undefined
  }

  #occupy(job: OpenJob, now: number): void {
    this.#fleet.occupy(job.speaker!, job.need.kind, now)
    this.#queue.occupied(job)
  }
}
