/**
 * What goes to whom, whom to give up, and what to say about those who wait, decided from the log, the heartbeats and the
 * time it is told. No clock, no I/O: the same inputs in the same order give the same answers.
 */
import type { ComposeEvent, JobStarted } from "../compose-events.ts"
import { type ComposeId, type PoolId, PoolScope, type TenantId, type WorkerId } from "../ids.ts"
import type { JobKind } from "../job.ts"
import type { Recorded } from "../recorded.ts"
import { type TargetLimits, usualLimits } from "../target-limits.ts"
import { type Claim, type Heartbeat, type Lying, type Speaker, speakerKey } from "../work.ts"
import { FairQueue } from "./fair-queue.ts"
import { fillSlots } from "./fill-slots.ts"
import { Fleet, slotsOf } from "./fleet.ts"
import { homelessJobs } from "./homeless-jobs.ts"
import { JobLifecycle } from "./job-lifecycle.ts"
import { JobsInHand, type Lost, type TakenJob } from "./jobs-in-hand.ts"
import type { Line } from "./lanes.ts"
import { aboutJob, isRunning, type OpenJob, OpenJobs, type RunningJob } from "./open-jobs.ts"
import type { JobPage } from "./resting.ts"
import { SetBindings } from "./set-bindings.ts"
import type { Share } from "./shares.ts"
import { TargetAccounts } from "./target-accounts.ts"

export interface SchedulerConfig {
  readonly shareOf: (tenantId: TenantId) => Share
  /** How long a worker of the pool may be silent. */
  readonly lostAfterMs: (pool: PoolId) => number
  /** How long an attempt may run before it is ended from here; a worker ends it a little earlier by itself. */
  readonly deadlineMs: (kind: JobKind) => number
  /** Of deliveries to one account; the usual ones if it is not said. */
  readonly limits?: TargetLimits
  /** Milliseconds since 1970, as all times here. */
  readonly now: number
}

export interface Assignment {
  readonly speaker: Speaker
  readonly job: OpenJob
}

type JobEvent = Extract<ComposeEvent, { readonly jobId: string }>

export class Scheduler {
  readonly jobs: OpenJobs
  readonly fleet: Fleet
  readonly queue: FairQueue
  readonly #config: SchedulerConfig
  readonly #inHand: JobsInHand
  readonly #bindings: SetBindings
  readonly #states: JobLifecycle

  constructor(config: SchedulerConfig) {
    this.#config = config
    this.fleet = new Fleet(config.lostAfterMs, config.now)
    this.jobs = new OpenJobs((job, line, earlier) => {
      if (earlier !== undefined) this.#states.letGo(earlier, config.now)
      this.queue.put(job, line as Line)
    })
    const accounts = new TargetAccounts<Line>(config.limits ?? usualLimits, (set, tenantId) => this.fleet.offers(set, tenantId))
    this.queue = new FairQueue(config.shareOf, accounts, (tenantId) => this.jobs.wake(tenantId))
    this.queue.advance(config.now)
    this.#inHand = new JobsInHand(this.fleet)
    this.#bindings = new SetBindings(this.fleet, this.queue)
    this.#states = new JobLifecycle({ bindings: this.#bindings, fleet: this.fleet, inHand: this.#inHand, jobs: this.jobs, queue: this.queue })
  }

  /** Takes jobs of a snapshot up, those that only wait as they lie there; `settle` says what of it is still true. */
  load(page: JobPage, now: number): void {
    for (let at = 0; at < page.size; at++) {
      const job = page.job(at)
      if (mayRest(job, now)) this.jobs.rest(job.tenantId, page, at, this.queue.expect(job))
      else this.#takeUp(job, now)
    }
  }

  #takeUp(job: OpenJob, now: number): void {
    // A snapshot that was written while things went on may hold one twice; the later one is right.
    const earlier = this.jobs.add(job)
    if (earlier !== undefined) this.#states.letGo(earlier, now)
    if (job.state === "assigned") {
      job.state = "ready"
      job.speaker = undefined
    }
    if (isRunning(job)) this.#states.run(job, job.speaker, now)
    else this.#states.admit(job, now)
  }

  /** What lies on workers' queues is not given out once more. */
  settle(lying: Iterable<Lying>, now: number): void {
    for (const { tenantId, composeId, jobId, attempt, sequence, speaker } of lying) {
      const job = this.jobs.get(tenantId, composeId, jobId)
      if (job?.state === "ready" && job.attempt === attempt) this.#states.assign(job, speaker, now, sequence)
    }
  }

  /** Answers with the attempts that were canceled under their workers, who have to be told. */
  record(recorded: Recorded<"compose">, now: number): ReadonlyArray<RunningJob> {
    const stop: Array<RunningJob> = []
    for (const event of recorded.events) {
      const about = aboutJob(event)
      if (about === undefined) continue
      const canceled = this.#apply(about, recorded, now)
      if (canceled !== undefined) stop.push(canceled)
    }
    return stop
  }

  #apply(event: JobEvent, recorded: Recorded<"compose">, now: number): RunningJob | undefined {
    const { tenantId, at, revision } = recorded
    const known = this.jobs.get(tenantId, event.composeId, event.jobId)
    if (event._tag === "JobQueued") {
      if (known !== undefined) this.#states.letGo(known, now)
      this.#states.admit(this.jobs.queue(tenantId, event, at, revision), now)
    } else if (event._tag === "JobStarted") {
      if (known !== undefined) this.#begin(known, event, recorded, now)
    } else if (known !== undefined) {
      if (event._tag === "JobSucceeded" && isRunning(known)) this.#measure(known, at)
      const held = isRunning(known) ? { ...known } : undefined
      this.#states.letGo(known, now)
      this.jobs.release(tenantId, event.composeId, event.jobId)
      if (event._tag === "JobCanceled") return held
    }
    return undefined
  }

  #begin(job: OpenJob, { attempt, token, worker }: typeof JobStarted.Type, recorded: Recorded<"compose">, now: number): void {
    const speaker = this.#speakerOf(job, worker, recorded)
    this.#states.letGo(job, now)
    job.attempt = attempt
    job.token = token
    job.since = recorded.at
    this.#states.run(job, speaker, now)
  }

  /** Workers act under `scope/name`; what is older, or was said by hand, has a name alone. */
  #speakerOf(job: OpenJob, worker: WorkerId, { actor }: Recorded<"compose">): Speaker {
    if (job.speaker?.worker === worker) return job.speaker
    const [scope, name] = actor.id.split("/")
    const saysScope = actor.kind === "worker" && name === worker
    return this.jobs.speaker(PoolScope.make(saysScope ? scope! : this.queue.poolOf(job.tenantId)), worker)
  }

  /** Answers with the attempts that the worker has forgotten. */
  hear(said: Speaker, heartbeat: Heartbeat, now: number): ReadonlyArray<Lost> {
    const speaker = this.jobs.speaker(said.scope, said.worker)
    const offers = this.fleet.offersNo
    this.fleet.hear(speaker, heartbeat, now)
    if (this.fleet.offersNo !== offers) {
      this.queue.recount()
      this.#bindAnew()
    }
    return this.#inHand.omitted(speaker, heartbeat)
  }

  /** Jobs to lay on workers' queues now. */
  due(now: number): ReadonlyArray<Assignment> {
    this.queue.advance(now)
    this.#states.ripen(now)
    const due: Array<Assignment> = []
    const assign = (job: OpenJob, speaker: Speaker) => {
      this.#states.assign(job, speaker, now)
      due.push({ speaker, job })
    }
    fillSlots({ assign, fleet: this.fleet, queue: this.queue }, now)
    return due
  }

  /** The job could not be laid on the worker's queue, or was taken off again. */
  putBack(job: OpenJob, now: number): void {
    if (job.state !== "assigned" || !this.#inHand.isAssigned(job)) return
    this.#states.letGo(job, now)
    this.#states.wait(job)
  }

  /**
   * `lacked`: sets that neither its tenant nor the worker that it was given to has. Answers whether it waits now for a worker
   * that has them; if none ever had, the worker is to say what is missing.
   */
  putBackLacking(job: OpenJob, lacked: ReadonlyArray<string>, now: number): boolean {
    const isAwaited = this.#bindings.lacks(job.tenantId, lacked)
    if (isAwaited) this.putBack(job, now)
    return isAwaited
  }

  /** The tenant has stored or removed a set. */
  setsChanged(tenantId: TenantId): void {
    this.#bindings.forgetLacking(tenantId)
    this.#bindAnew()
  }

  /** The job lies on its worker's queue under this sequence. */
  laid({ attempt, composeId, jobId, since, tenantId }: OpenJob, sequence: number): void {
    const job = this.jobs.get(tenantId, composeId, jobId)
    if (job?.state === "assigned" && job.attempt === attempt && job.since === since) job.sequence = sequence
  }

  /** What lies on the queues of workers that will not take it, or since before `olderThan`: it has to be taken off and put back. */
  deserted(olderThan: number, now: number): ReadonlyArray<OpenJob> {
    return this.#inHand.deserted(olderThan, now)
  }

  /** Assigned before `olderThan`, begun by nobody and on no queue any more: they wait again. Answers how many. */
  recover(lying: Iterable<Lying>, olderThan: number, now: number): number {
    const stranded = this.#inHand.stranded(lying, olderThan)
    for (const job of stranded) this.putBack(job, now)
    return stranded.length
  }

  /**
   * Images whose holders are gone: their jobs go to anybody, who gets the image from the store or says that it is gone.
   * Answers how many.
   */
  rehome(now: number): number {
    const homeless = homelessJobs(this.fleet, this.queue, now)
    for (const job of homeless) {
      const { holder: _, ...need } = job.need
      this.queue.remove(job)
      job.need = need
      this.#states.wait(job)
    }
    return homeless.length
  }

  /** Attempts whose workers have not been heard of for too long. */
  lost(now: number): ReadonlyArray<Lost> {
    return this.#inHand.lost(now)
  }

  /** Attempts that run longer than any may. */
  overdue(now: number): ReadonlyArray<RunningJob> {
    return this.#inHand.overdue(this.#config.deadlineMs, now)
  }

  /** Attempts that a worker had before it began this session. */
  orphans(said: Speaker, session: string): ReadonlyArray<Lost> {
    return this.#inHand.orphans(this.jobs.speaker(said.scope, said.worker), session)
  }

  mayUpload(speaker: Speaker): boolean {
    const worker = this.fleet.get(speaker)
    return worker !== undefined && slotsOf(worker, "upload") > 0
  }

  /** Whether a job was given to this worker and to nobody since. */
  owns(said: Speaker, { tenantId, composeId, jobId, attempt }: Claim): boolean {
    const job = this.jobs.get(tenantId, composeId, jobId)
    return job?.speaker !== undefined && job.attempt === attempt && speakerKey(job.speaker) === speakerKey(said)
  }

  /** A tenant's policy has changed: what of it waits may have to wait elsewhere. */
  policyChanged(tenantId: TenantId): void {
    this.jobs.wake(tenantId)
    const astray = [...this.jobs.awake()].filter((job) => job.tenantId === tenantId && this.queue.isAstray(job))
    for (const job of astray) this.#states.requeue(job)
    this.queue.freed(tenantId)
  }

  /** What lies on workers' queues, and what they run. */
  taken(): Iterable<TakenJob> {
    return this.#inHand.values()
  }

  ofCompose(tenantId: TenantId, composeId: ComposeId): ReadonlyArray<OpenJob> {
    return this.jobs.of(tenantId, composeId)
  }

  /** Who has which sets is known better now. */
  #bindAnew(): void {
    for (const job of this.#bindings.outdated()) this.#states.requeue(job)
  }

  /** What the mean duration of its kind is made of: the last ones count most. */
  #measure(job: RunningJob, endedAt: number): void {
    const lane = this.queue.laneOf(job)
    const took = Math.max(0, endedAt - job.since)
    lane.meanMs = lane.meanMs === undefined ? took : lane.meanMs + (took - lane.meanMs) / 8
  }
}

/** It waits for its turn and for nothing that has to be looked after. */
const mayRest = ({ need: { holder, sets }, notBefore, state }: OpenJob, now: number): boolean =>
  state === "ready" && notBefore <= now && holder === undefined && sets === undefined
