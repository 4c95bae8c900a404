/**
 * What goes to whom, whom to give up, and what to say about those who wait, decided from the log, the heartbeats and the
 * time it is told. No clock, no I/O: the same inputs in the same order give the same answers.
 */
import type { ComposeEvent } from "../compose-events.ts"
import { type ComposeId, type PoolId, PoolScope, type TenantId, type WorkerId } from "../ids.ts"
import type { JobKind } from "../job.ts"
import type { Recorded } from "../recorded.ts"
import { type TargetLimits, usualLimits } from "../target-limits.ts"
import { type Claim, type Heartbeat, type Lying, type Speaker, speakerKey } from "../work.ts"
import { FairQueue, type Lane, type Line, type Share } from "./fair-queue.ts"
import { canDo, Fleet, slotsOf, type Worker } from "./fleet.ts"
import { Heap } from "./heap.ts"
import { aboutJob, type Bound, isRunning, type Need, type OpenJob, OpenJobs, type RunningJob } from "./open-jobs.ts"
import type { JobPage } from "./resting.ts"
import { TargetAccounts } from "./target-accounts.ts"

export interface SchedulerConfig {
  readonly shareOf: (tenantId: TenantId) => Share
  readonly lostAfterMs: (pool: PoolId) => number
  /** How long an attempt may run before it is ended from here; a worker ends it a little earlier by itself. */
  readonly deadlineMs: (kind: JobKind) => number
  /** Of deliveries to one account; the usual ones if it is not said. */
  readonly limits?: TargetLimits
  readonly now: number
}

export interface Assignment {
  readonly speaker: Speaker
  readonly job: OpenJob
}

export interface Lost {
  readonly job: RunningJob
  readonly reason: string
}

/** After so long a live worker has said what it holds: an image that it does not list is not there. */
const tellsWithinMs = 120_000

/** Its holder is there, and does not have the image any more, or never can do what is asked. */
const isForsaken = ({ need, queuedAt }: OpenJob, worker: Worker, now: number): boolean =>
  now - queuedAt > tellsWithinMs && (!canDo(worker, need) || (need.holder !== undefined && !worker.held.has(need.holder.digest)))

/** It waits for its turn and for nothing that has to be looked after. */
const mayRest = ({ need: { holder, sets }, notBefore, state }: OpenJob, now: number): boolean =>
  state === "ready" && notBefore <= now && holder === undefined && sets === undefined

const isSameBound = ({ need: { bound } }: OpenJob, other: Bound | undefined): boolean => bound?.sets.join() === other?.sets.join()

const setKey = (tenantId: TenantId, set: string): string => `${tenantId} ${set}`

type JobEvent = Extract<ComposeEvent, { readonly jobId: string }>

/** Jobs that take less than this are laid on a worker's queue ahead of its slots, so that it never waits for us. */
const shortMs = 500
/** Heartbeats in which a worker may leave out an attempt that is on record as its own. */
const omissionsAllowed = 5

export class Scheduler {
  readonly jobs: OpenJobs
  readonly fleet: Fleet
  readonly queue: FairQueue
  readonly #config: SchedulerConfig
  readonly #delayed = new Heap<{ readonly job: OpenJob; readonly until: number }>((one, other) => one.until < other.until)
  readonly #assigned = new Set<OpenJob>()
  readonly #running = new Set<RunningJob>()
  readonly #omitted = new Map<RunningJob, number>()
  /** Those that wait and name sets of credentials. */
  readonly #naming = new Set<OpenJob>()
  /** Tenants and the sets that they do not have themselves, as far as somebody has looked. */
  readonly #lacking = new Set<string>()

  constructor(config: SchedulerConfig) {
    this.#config = config
    this.fleet = new Fleet(config.lostAfterMs, config.now)
    this.jobs = new OpenJobs((job, line, earlier) => {
      if (earlier !== undefined) this.#letGo(earlier, config.now)
      this.queue.put(job, line as Line)
    })
    const accounts = new TargetAccounts<Line>(config.limits ?? usualLimits, (set, tenantId) => this.fleet.offers(set, tenantId))
    this.queue = new FairQueue(config.shareOf, accounts, (tenantId) => this.jobs.wake(tenantId))
    this.queue.advance(config.now)
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
    if (earlier !== undefined) this.#letGo(earlier, now)
    if (job.state === "assigned") {
      job.state = "ready"
      job.speaker = undefined
    }
    if (isRunning(job)) this.#run(job, job.speaker, now)
    else this.#admit(job, now)
  }

  /** What lies on workers' queues is not given out once more. */
  settle(lying: Iterable<Lying>, now: number): void {
    for (const { tenantId, composeId, jobId, attempt, sequence, speaker } of lying) {
      const job = this.jobs.get(tenantId, composeId, jobId)
      if (job?.state === "ready" && job.attempt === attempt) this.#assign(job, speaker, now, sequence)
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
      if (known !== undefined) this.#letGo(known, now)
      this.#admit(this.jobs.queue(tenantId, event, at, revision), now)
    } else if (event._tag === "JobStarted") {
      if (known !== undefined) this.#begin(known, event, recorded, now)
    } else if (known !== undefined) {
      if (event._tag === "JobSucceeded" && isRunning(known)) this.#measure(known, at)
      const held = isRunning(known) ? { ...known } : undefined
      this.#letGo(known, now)
      this.jobs.release(tenantId, event.composeId, event.jobId)
      if (event._tag === "JobCanceled") return held
    }
    return undefined
  }

  #begin(job: OpenJob, { attempt, token, worker }: Extract<JobEvent, { _tag: "JobStarted" }>, recorded: Recorded<"compose">, now: number): void {
    const speaker = this.#speakerOf(job, worker, recorded)
    this.#letGo(job, now)
    job.attempt = attempt
    job.token = token
    job.since = recorded.at
    this.#run(job, speaker, now)
  }

  /** Workers act under `scope/name`; what is older, or was said by hand, has a name alone. */
  #speakerOf(job: OpenJob, worker: WorkerId, { actor }: Recorded<"compose">): Speaker {
    if (job.speaker?.worker === worker) return job.speaker
    const [scope, name] = actor.id.split("/")
    return this.jobs.speaker(PoolScope.make(actor.kind === "worker" && name === worker ? scope! : this.#config.shareOf(job.tenantId).pool), worker)
  }

  hear(said: Speaker, heartbeat: Heartbeat, now: number): ReadonlyArray<Lost> {
    const speaker = this.jobs.speaker(said.scope, said.worker)
    const offers = this.fleet.offersNo
    this.fleet.hear(speaker, heartbeat, now)
    if (this.fleet.offersNo !== offers) {
      this.queue.recount()
      this.#bindAnew()
    }
    return this.#missing(speaker, heartbeat)
  }

  /** Attempts of this worker that it leaves out again and again: it has forgotten them, or never knew that it had them. */
  #missing(speaker: Speaker, { running, session }: Heartbeat): ReadonlyArray<Lost> {
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

  /** Jobs to lay on workers' queues now. */
  due(now: number): ReadonlyArray<Assignment> {
    this.queue.advance(now)
    this.#ripen(now)
    const due: Array<Assignment> = []
    for (const lane of this.queue.lanes.values()) {
      while (lane.waiting > 0 && this.#fill(lane, now, due));
    }
    return due
  }

  /** One job for each worker that has room; whether there was any. */
  #fill(lane: Lane, now: number, due: Array<Assignment>): boolean {
    let found = false
    // A copy: who gets a job goes to the end of the turn.
    for (const worker of Array.from(this.fleet.serving(lane.pool))) {
      if (worker.busy[lane.kind] >= this.#room(worker, lane, now)) continue
      const job = this.queue.take(lane, worker, (need) => this.#hasOther(lane.pool, need, worker, now))
      if (job === undefined) continue
      this.#assign(job, worker.speaker, now)
      due.push({ speaker: worker.speaker, job })
      found = true
    }
    return found
  }

  /** Whether anybody but this one can do it, now or once there is room. */
  #hasOther(pool: PoolId, need: Need, worker: Worker, now: number): boolean {
    for (const other of this.fleet.serving(pool)) {
      if (other.speaker.worker !== worker.speaker.worker && this.fleet.isOpen(other, now) && canDo(other, need)) return true
    }
    return false
  }

  #room(worker: Worker, lane: Lane, now: number): number {
    if (!this.fleet.isOpen(worker, now)) return 0
    const slots = slotsOf(worker, lane.kind)
    return (lane.meanMs ?? Infinity) < shortMs ? slots + Math.ceil(slots / 4) : slots
  }

  /** The job could not be laid on the worker's queue, or was taken off again. */
  putBack(job: OpenJob, now: number): void {
    if (job.state !== "assigned" || !this.#assigned.has(job)) return
    this.#letGo(job, now)
    this.#wait(job)
  }

  /**
   * `lacked`: sets that neither its tenant nor the worker that it was given to has. Answers whether it waits now for a worker
   * that has them; if none ever had, the worker is to say what is missing.
   */
  putBackLacking(job: OpenJob, lacked: ReadonlyArray<string>, now: number): boolean {
    const pool = this.queue.poolOf(job.tenantId)
    const awaited = lacked.filter((set) => this.fleet.hasHeldSet(pool, set, job.tenantId))
    for (const set of awaited) this.#lacking.add(setKey(job.tenantId, set))
    if (awaited.length > 0) this.putBack(job, now)
    return awaited.length > 0
  }

  /** The tenant has stored or removed a set. */
  setsChanged(tenantId: TenantId): void {
    for (const key of this.#lacking) if (key.startsWith(setKey(tenantId, ""))) this.#lacking.delete(key)
    this.#bindAnew()
  }

  /** The job lies on its worker's queue under this sequence. */
  laid({ attempt, composeId, jobId, since, tenantId }: OpenJob, sequence: number): void {
    const job = this.jobs.get(tenantId, composeId, jobId)
    if (job?.state === "assigned" && job.attempt === attempt && job.since === since) job.sequence = sequence
  }

  /** What lies on the queues of workers that will not take it: it has to be taken off and put back. */
  deserted(olderThan: number, now: number): ReadonlyArray<OpenJob> {
    return [...this.#assigned].filter((job) => {
      const worker = this.fleet.get(job.speaker!)
      if (worker?.heartbeat === undefined) return this.fleet.isLost(job.speaker!, now)
      // Given to an earlier run of it, or lain there for too long.
      return !this.fleet.isOpen(worker, now) || job.since < Math.max(worker.sessionSince, olderThan)
    })
  }

  /** Assigned a while ago, begun by nobody and on no queue any more: they wait again. */
  recover(lying: Iterable<Lying>, olderThan: number, now: number): number {
    const there = new Set([...lying].map(({ tenantId, composeId, jobId, attempt }) => `${tenantId}/${composeId}/${jobId}/${attempt}`))
    const stranded = [...this.#assigned].filter((job) =>
      job.since < olderThan && !there.has(`${job.tenantId}/${job.composeId}/${job.jobId}/${job.attempt}`))
    for (const job of stranded) this.putBack(job, now)
    return stranded.length
  }

  /** Images whose holders are gone: their jobs go to anybody, who gets the image from the store or says that it is gone. */
  rehome(now: number): number {
    const homeless: Array<OpenJob> = []
    for (const lane of this.queue.lanes.values()) {
      for (const { lines, need: { holder } } of lane.queues.values()) {
        if (holder === undefined) continue
        const worker = this.fleet.named(lane.pool, holder.worker)
        const isGone = this.fleet.isLost(worker?.speaker ?? { scope: PoolScope.make(lane.pool), worker: holder.worker }, now)
        for (const { jobs } of lines.values()) {
          for (const those of [jobs.high, jobs.normal, jobs.low]) {
            for (const job of those) if (isGone || (worker !== undefined && isForsaken(job, worker, now))) homeless.push(job)
          }
        }
      }
    }
    const waiting = homeless.filter((job) => this.queue.has(job))
    for (const job of waiting) {
      this.queue.remove(job)
      const { holder: _, ...need } = job.need
      job.need = need
      this.#wait(job)
    }
    return waiting.length
  }

  /** Attempts whose workers have not been heard of for too long, and those that run longer than any may. */
  lost(now: number): ReadonlyArray<Lost> {
    return [...this.#running].filter(({ speaker }) => this.fleet.isLost(speaker, now))
      .map((job) => ({ job, reason: `no word from worker ${job.speaker.worker} for ${this.fleet.lostAfterMs(job.speaker) / 1000} s` }))
  }

  overdue(now: number): ReadonlyArray<RunningJob> {
    return [...this.#running].filter(({ need, since }) => now - since > this.#config.deadlineMs(need.kind))
  }

  /** Attempts that a worker had before it began this session. */
  orphans(said: Speaker, session: string): ReadonlyArray<Lost> {
    const speaker = this.jobs.speaker(said.scope, said.worker)
    // A report may come twice, the second time long after the session that it tells of.
    if (this.fleet.isOver(speaker, session)) return []
    return [...this.#running].filter((job) => job.speaker === speaker && !job.token.startsWith(session))
      .map((job) => ({ job, reason: `worker ${speaker.worker} was restarted` }))
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
    for (const job of astray) {
      this.queue.remove(job)
      this.#wait(job)
    }
    this.queue.freed(tenantId)
  }

  /** What lies on workers' queues, and what they run. */
  *taken(): Generator<OpenJob & { readonly speaker: Speaker }, void> {
    for (const job of this.#assigned) yield job as OpenJob & { readonly speaker: Speaker }
    yield* this.#running
  }

  ofCompose(tenantId: TenantId, composeId: ComposeId): ReadonlyArray<OpenJob> {
    return this.jobs.of(tenantId, composeId)
  }

  #admit(job: OpenJob, now: number): void {
    if (job.notBefore > now) {
      job.state = "delayed"
      this.#delayed.push({ job, until: job.notBefore })
    } else {
      job.state = "ready"
      this.#wait(job)
    }
  }

  #wait(job: OpenJob): void {
    if (job.need.sets !== undefined) {
      this.#naming.add(job)
      const bound = this.#boundOf(job)
      const { bound: _, ...need } = job.need
      if (!isSameBound(job, bound)) job.need = { ...need, ...(bound && { bound }) }
    }
    this.queue.add(job)
  }

  /** An operator's set goes before the tenant's of that name: whoever has one does it. */
  #boundOf({ need: { sets = [] }, tenantId }: OpenJob): Bound | undefined {
    const pool = this.queue.poolOf(tenantId)
    const only = sets.filter((set) => this.fleet.holdsSet(pool, set, tenantId) || this.#lacking.has(setKey(tenantId, set)))
    return only.length === 0 ? undefined : { tenantId, sets: only }
  }

  /** Who has which sets is known better now. */
  #bindAnew(): void {
    for (const job of this.#naming) {
      if (!this.queue.has(job) || isSameBound(job, this.#boundOf(job))) continue
      this.queue.remove(job)
      this.#wait(job)
    }
  }

  #ripen(now: number): void {
    for (let next = this.#delayed.peek(); next !== undefined && next.until <= now; next = this.#delayed.peek()) {
      const { job } = this.#delayed.pop()!
      if (job.state === "delayed" && this.jobs.get(job.tenantId, job.composeId, job.jobId) === job) this.#admit(job, now)
    }
  }

  #assign(job: OpenJob, speaker: Speaker, now: number, sequence = 0): void {
    this.queue.remove(job)
    job.state = "assigned"
    job.speaker = this.jobs.speaker(speaker.scope, speaker.worker)
    job.since = now
    job.sequence = sequence
    this.#assigned.add(job)
    this.#occupy(job, now)
  }

  #run(job: OpenJob, speaker: Speaker, now: number): void {
    job.state = "running"
    job.speaker = this.jobs.speaker(speaker.scope, speaker.worker)
    this.#running.add(job as RunningJob)
    this.#occupy(job, now)
  }

  #occupy(job: OpenJob, now: number): void {
    this.fleet.occupy(job.speaker!, job.need.kind, now)
    this.queue.occupied(job)
  }

  /** It neither waits nor takes up a slot after this. */
  #letGo(job: OpenJob, now: number): void {
    this.queue.remove(job)
    this.#naming.delete(job)
    const held = this.#assigned.delete(job) || this.#running.delete(job as RunningJob)
    this.#omitted.delete(job as RunningJob)
    if (held) {
      this.fleet.vacate(job.speaker!, job.need.kind, now)
      this.queue.vacated(job)
    }
    job.state = "ready"
    job.speaker = undefined
    job.token = undefined
  }

  #measure(job: RunningJob, endedAt: number): void {
    const lane = this.queue.laneOf(job)
    const took = Math.max(0, endedAt - job.since)
    lane.meanMs = lane.meanMs === undefined ? took : lane.meanMs + (took - lane.meanMs) / 8
  }
}
