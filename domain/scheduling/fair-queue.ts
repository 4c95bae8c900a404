/**
 * Who is next for a free slot. Deficit round robin between tenants, with the deficit kept as virtual time so that a slot
 * that can do only some of the jobs still finds the tenant who is furthest behind: each job served moves its tenant on by
 * 1 / weight, the smallest time goes first, and who has just come stands where the round is.
 */
import type { PoolId, TenantId } from "../ids.ts"
import { avoids, suits } from "./affinity.ts"
import type { Worker } from "./fleet.ts"
import { count, forget, type Lane, Lanes, type Line, lineIn, lineOf, type NeedQueue, priorities, sooner } from "./lanes.ts"
import { noteAge, oldestQueuedAt } from "./oldest-waiting.ts"
import type { Need, OpenJob } from "./open-jobs.ts"
import { positionOf } from "./queue-position.ts"
import type { Share } from "./shares.ts"
import { type Account, isFull, TargetAccounts } from "./target-accounts.ts"
import { TenantSlots } from "./tenant-slots.ts"

export class FairQueue {
  readonly #lanes = new Lanes()
  readonly #slots: TenantSlots<Line>
  readonly #accounts: TargetAccounts<Line>
  /** Asked each time, so that a change counts at once. */
  readonly #shareOf: (tenantId: TenantId) => Share
  readonly #wake: (tenantId: TenantId) => boolean
  #order = 0
  #now = 0

  /** `wake`: has what is expected of a tenant put in; answers whether there was anything. */
  constructor(
    shareOf: (tenantId: TenantId) => Share,
    accounts: TargetAccounts<Line> = new TargetAccounts({}),
    wake: (tenantId: TenantId) => boolean = () => false
  ) {
    this.#shareOf = shareOf
    this.#slots = new TenantSlots((tenantId) => shareOf(tenantId).runningJobs)
    this.#accounts = accounts
    this.#wake = wake
  }

  /** The time goes on. */
  advance(now: number): void {
    this.#now = now
    this.#resume(this.#accounts.ripened(now))
  }

  add(job: OpenJob): void {
    this.put(job, this.expect(job))
  }

  /** Counts a job that will be put in once somebody asks for its tenant's. */
  expect(job: OpenJob): Line {
    const line = lineIn(this.laneOf(job), job)
    if (line.turn.waiting === 0) line.turn.time = Math.max(line.turn.time, line.lane.time)
    count(line, 1)
    this.#enter(line)
    noteAge(line, job.queuedAt)
    return line
  }

  /** Puts in what was expected here. */
  put(job: OpenJob, line: Line): void {
    line.jobs[job.priority].add(job)
    job.place = line
  }

  /** It waits no more; nothing happens if it did not. */
  remove(job: OpenJob): void {
    const line = lineOf(job)
    if (line === undefined) return
    job.place = undefined
    count(line, -1)
  }

  has(job: OpenJob): boolean {
    return job.place !== undefined
  }

  /** Its tenant's pool is another one now. */
  isAstray(job: OpenJob): boolean {
    const line = lineOf(job)
    return line !== undefined && line.lane !== this.laneOf(job)
  }

  /** The next job of a lane that this worker can do. `hasOther`: whether somebody else could do what wants to avoid it. */
  take(lane: Lane, worker: Worker, hasOther: (need: Need, worker: Worker) => boolean = () => false): OpenJob | undefined {
    const line = this.#firstFor(lane, worker, hasOther)
    if (line === undefined) return undefined
    const job = next(line)!
    this.remove(job)
    const { turn } = line
    lane.time = Math.max(lane.time, turn.time)
    turn.time = lane.time + 1 / this.#shareOf(turn.tenantId).weight
    line.order = ++this.#order
    const account = this.accountOf(job)
    if (account !== undefined) this.#accounts.begin(account, this.#now)
    return job
  }

  /** A tenant's job has got a slot, or has let go of it. */
  occupied(job: OpenJob): void {
    this.#slots.occupied(job.tenantId)
    this.#accounts.occupied(job)
  }

  vacated(job: OpenJob): void {
    this.#resume(this.#slots.vacated(job.tenantId))
    this.#resume(this.#accounts.vacated(job, this.#now))
  }

  /** Whose the sets of credentials are may be known better now. */
  recount(): void {
    this.#resume(this.#accounts.recount(this.#now))
  }

  /** Its limit may have changed. */
  freed(tenantId: TenantId): void {
    this.#resume(this.#slots.freed(tenantId))
  }

  /** What is counted with the job, if anything limits that. */
  accountOf({ need: { target }, tenantId }: Pick<OpenJob, "need" | "tenantId">): Account<Line> | undefined {
    return this.#accounts.of(tenantId, target)
  }

  /** How many slots it takes up, in all pools. */
  taken(tenantId: TenantId): number {
    return this.#slots.taken(tenantId)
  }

  isAtLimit(tenantId: TenantId): boolean {
    return this.#slots.isAtLimit(tenantId)
  }

  poolOf(tenantId: TenantId): PoolId {
    return this.#shareOf(tenantId).pool
  }

  /** By `pool/kind`. */
  get lanes(): ReadonlyMap<string, Lane> {
    return this.#lanes.all
  }

  laneOf({ need: { kind }, tenantId }: OpenJob): Lane {
    return this.#lanes.of(this.#shareOf(tenantId).pool, kind)
  }

  /** When the job was queued that has waited longest in a lane, in milliseconds since 1970; Infinity if none waits. */
  oldestQueuedAt(lane: Lane): number {
    return oldestQueuedAt(lane, this.#wake)
  }

  /** How many jobs go before this one if nothing changes, itself included; undefined if it does not wait for a slot. */
  position(job: OpenJob): number | undefined {
    return positionOf(job, (tenantId) => this.#shareOf(tenantId).weight)
  }

  #firstFor(lane: Lane, worker: Worker, hasOther: (need: Need, worker: Worker) => boolean): Line | undefined {
    let first: Line | undefined
    for (const queue of lane.queues.values()) {
      if (queue.waiting === 0 || !suits(queue.need, worker)) continue
      if (avoids(queue.need, worker) && hasOther(queue.need, worker)) continue
      const line = this.#first(queue)
      if (line !== undefined && (first === undefined || sooner(line, first))) first = line
    }
    return first
  }

  #first(queue: NeedQueue): Line | undefined {
    for (;;) {
      const line = queue.heap.peek()
      if (line === undefined) return undefined
      if (line.waiting === 0 || this.#isHeld(line)) {
        queue.heap.pop()
        line.inHeap = false
        if (line.waiting === 0) forget(line)
      } else if (line.time < line.turn.time) {
        line.time = line.turn.time
        queue.heap.settle()
      } else if (!this.#wake(line.turn.tenantId)) {
        return line
      }
    }
  }

  /** Its tenant is at its limit, or the account that it goes to: whichever it is lets it go on. */
  #isHeld(line: Line): boolean {
    const { target, turn: { tenantId } } = line
    if (this.#slots.isAtLimit(tenantId)) {
      this.#slots.hold(tenantId, line)
      return true
    }
    const account = this.#accounts.of(tenantId, target)
    if (account === undefined || !isFull(account, this.#now)) return false
    this.#accounts.hold(account, line)
    return true
  }

  #resume(lines: ReadonlyArray<Line>): void {
    for (const line of lines) {
      if (line.waiting > 0) this.#enter(line)
      else forget(line)
    }
  }

  #enter(line: Line): void {
    if (line.inHeap) return
    line.inHeap = true
    line.time = line.turn.time
    line.order = ++this.#order
    line.queue.heap.push(line)
  }
}

/** Takes out the first that still waits here; those that were removed are passed over. */
const next = (line: Line): OpenJob | undefined => {
  for (const priority of priorities) {
    for (;;) {
      const job = line.jobs[priority].shift()
      if (job === undefined) break
      if (job.place === line) return job
    }
  }
  return undefined
}
