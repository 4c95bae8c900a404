/**
 * Who is next for a free slot. Deficit round robin between tenants, with the deficit kept as virtual time so that a slot
 * that can do only some of the jobs still finds the tenant who is furthest behind: each job served moves its tenant on by
 * 1 / weight, the smallest time goes first, and who has just come stands where the round is.
 */
import type { Priority } from "../compose-request.ts"
import type { PoolId, TenantId } from "../ids.ts"
import type { JobKind } from "../job.ts"
import { canDo, type Worker } from "./fleet.ts"
import { Heap } from "./heap.ts"
import type { Need, OpenJob } from "./open-jobs.ts"
import { type Account, isFull, TargetAccounts } from "./target-accounts.ts"
import { Waiting } from "./waiting.ts"

/** What a tenant may take; asked each time, so that a change counts at once. */
export interface Share {
  readonly pool: PoolId
  readonly weight: number
  readonly runningJobs: number
}

/** A tenant over all pools. */
interface Tenant {
  readonly tenantId: TenantId
  /** Jobs assigned and running. */
  taken: number
  /** Lines that have found the tenant at its limit. */
  readonly held: Set<Line>
}

/** A tenant in one lane. */
interface Turn {
  readonly tenant: Tenant
  time: number
  waiting: number
}

/** A tenant's jobs with one need; deliveries to one place. */
export interface Line {
  readonly key: string
  readonly lane: Lane
  readonly turn: Turn
  readonly queue: NeedQueue
  readonly target: string | undefined
  readonly jobs: Record<Priority, Waiting<OpenJob>>
  waiting: number
  inHeap: boolean
  time: number
  order: number
  /** Nothing that waits here was queued before. */
  oldest: number
}

/** What a line's `oldest` was when this was written; void if it is another one now. */
interface Age {
  readonly line: Line
  readonly queuedAt: number
}

export interface NeedQueue {
  readonly need: Need
  /** By tenant, and by what deliveries are counted by. */
  readonly lines: Map<string, Line>
  readonly heap: Heap<Line>
  waiting: number
}

/** All jobs of a kind in a pool: they compete for the same slots. */
export interface Lane {
  readonly pool: PoolId
  readonly kind: JobKind
  readonly queues: Map<string, NeedQueue>
  readonly turns: Map<TenantId, Turn>
  readonly ages: Heap<Age>
  /** The virtual time of the last job served. */
  time: number
  waiting: number
  /** A running mean of how long a job takes, undefined before the first has ended. */
  meanMs: number | undefined
}

const priorities: ReadonlyArray<Priority> = ["high", "normal", "low"]
/** Ids of composes begin with the time of their request: what is queued again stands where it stood, also after a restart. */
const older = (one: OpenJob, other: OpenJob) => one.composeId < other.composeId
const earlier = (one: Age, other: Age) => one.queuedAt < other.queuedAt
const sooner = (one: Line, other: Line) => one.time < other.time || (one.time === other.time && one.order < other.order)

export class FairQueue {
  readonly lanes = new Map<string, Lane>()
  readonly #tenants = new Map<TenantId, Tenant>()
  readonly #shareOf: (tenantId: TenantId) => Share
  /** The same as the last one's, as a rule: a million jobs need not each make its key. */
  #lastLane: Lane | undefined
  #order = 0
  readonly #accounts: TargetAccounts<Line>
  readonly #wake: (tenantId: TenantId) => boolean
  #now = 0

  /** `wake`: has what is expected of a tenant put in; answers whether there was anything. */
  constructor(shareOf: (tenantId: TenantId) => Share, accounts: TargetAccounts<Line> = new TargetAccounts({}), wake: (tenantId: TenantId) => boolean = () => false) {
    this.#shareOf = shareOf
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
    const line = this.#lineOf(job)
    if (line.turn.waiting === 0) line.turn.time = Math.max(line.turn.time, line.lane.time)
    this.#count(line, 1)
    this.#enter(line)
    if (job.queuedAt < line.oldest) this.#age(line, job.queuedAt)
    return line
  }

  /** Puts in what was expected here. */
  put(job: OpenJob, line: Line): void {
    line.jobs[job.priority].add(job)
    job.place = line
  }

  remove(job: OpenJob): void {
    const line = lineOf(job)
    if (line === undefined) return
    job.place = undefined
    this.#count(line, -1)
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
    let first: Line | undefined
    for (const queue of lane.queues.values()) {
      if (queue.waiting === 0 || !suits(queue.need, worker) || (avoids(queue.need, worker) && hasOther(queue.need, worker))) continue
      const line = this.#first(queue)
      if (line !== undefined && (first === undefined || sooner(line, first))) first = line
    }
    if (first === undefined) return undefined
    const job = this.#next(first)!
    this.remove(job)
    const { turn } = first
    lane.time = Math.max(lane.time, turn.time)
    turn.time = lane.time + 1 / this.#shareOf(turn.tenant.tenantId).weight
    first.order = ++this.#order
    const account = this.accountOf(job)
    if (account !== undefined) this.#accounts.begin(account, this.#now)
    return job
  }

  /** A tenant's job has got a slot, or has let go of it. */
  occupied(job: OpenJob): void {
    this.#tenant(job.tenantId).taken += 1
    this.#accounts.occupied(job)
  }

  vacated(job: OpenJob): void {
    this.#tenant(job.tenantId).taken -= 1
    this.freed(job.tenantId)
    this.#resume(this.#accounts.vacated(job, this.#now))
  }

  /** Whose the sets of credentials are may be known better now. */
  recount(): void {
    this.#resume(this.#accounts.recount(this.#now))
  }

  /** Its limit may have changed. */
  freed(tenantId: TenantId): void {
    const tenant = this.#tenant(tenantId)
    if (tenant.held.size === 0 || this.isAtLimit(tenantId)) return
    const lines = [...tenant.held]
    tenant.held.clear()
    this.#resume(lines)
  }

  /** What is counted with the job, if anything limits that. */
  accountOf({ need: { target }, tenantId }: Pick<OpenJob, "need" | "tenantId">): Account<Line> | undefined {
    return this.#accounts.of(tenantId, target)
  }

  taken(tenantId: TenantId): number {
    return this.#tenants.get(tenantId)?.taken ?? 0
  }

  isAtLimit(tenantId: TenantId): boolean {
    return this.taken(tenantId) >= this.#shareOf(tenantId).runningJobs
  }

  poolOf(tenantId: TenantId): PoolId {
    return this.#shareOf(tenantId).pool
  }

  laneOf(job: OpenJob): Lane {
    const { pool } = this.#shareOf(job.tenantId)
    const { kind } = job.need
    if (this.#lastLane?.pool === pool && this.#lastLane.kind === kind) return this.#lastLane
    const key = `${pool}/${kind}`
    const lane: Lane = this.lanes.get(key) ?? { pool, kind, queues: new Map(), turns: new Map(), ages: new Heap(earlier), time: 0, waiting: 0, meanMs: undefined }
    this.lanes.set(key, lane)
    this.#lastLane = lane
    return lane
  }

  queueOf(job: OpenJob): NeedQueue | undefined {
    return lineOf(job)?.queue
  }

  /** When the job was queued that has waited longest in a lane; Infinity if none waits. Ten thousand tenants are not asked one by one. */
  oldestQueuedAt({ ages }: Lane): number {
    for (;;) {
      const age = ages.peek()
      if (age === undefined) return Infinity
      const { line, queuedAt } = age
      this.#wake(line.turn.tenant.tenantId)
      const isVoid = line.oldest !== queuedAt
      const oldest = isVoid ? Infinity : oldestIn(line)
      if (oldest === queuedAt) return queuedAt
      ages.pop()
      if (!isVoid) this.#age(line, oldest)
    }
  }

  #age(line: Line, oldest: number): void {
    line.oldest = oldest
    if (oldest < Infinity) line.lane.ages.push({ line, queuedAt: oldest })
  }

  /** How many jobs go before this one if nothing changes, itself included; undefined if it does not wait for a slot. */
  position(job: OpenJob): number | undefined {
    const line: Line | undefined = lineOf(job)
    if (line === undefined) return undefined
    let ahead = 0
    for (const priority of priorities) {
      const waiting: Iterable<OpenJob> = line.jobs[priority]
      for (const other of waiting) {
        if (other === job) break
        if (other.place === line) ahead += 1
      }
      if (priority === job.priority) break
    }
    const weight = (of: Line) => this.#shareOf(of.turn.tenant.tenantId).weight
    const until = Math.max(line.turn.time, line.time) + ahead / weight(line)
    let before = ahead
    for (const other of line.queue.lines.values()) {
      if (other === line || other.waiting === 0) continue
      const rounds = (until - Math.max(other.turn.time, other.time)) * weight(other)
      // A tie goes to whoever stands first now.
      before += Math.min(other.waiting, Math.max(0, other.order < line.order ? Math.floor(rounds + 1) : Math.ceil(rounds)))
    }
    return before + 1
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
      } else if (!this.#wake(line.turn.tenant.tenantId)) {
        return line
      }
    }
  }

  /** Its tenant is at its limit, or the account that it goes to: whichever it is lets it go on. */
  #isHeld(line: Line): boolean {
    const { target, turn: { tenant } } = line
    if (this.isAtLimit(tenant.tenantId)) {
      tenant.held.add(line)
      return true
    }
    const account = this.#accounts.of(tenant.tenantId, target)
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

  #next(line: Line): OpenJob | undefined {
    for (const priority of priorities) {
      for (;;) {
        const job = line.jobs[priority].shift()
        if (job === undefined) break
        if (job.place === line) return job
      }
    }
    return undefined
  }

  #enter(line: Line): void {
    if (line.inHeap) return
    line.inHeap = true
    line.time = line.turn.time
    line.order = ++this.#order
    line.queue.heap.push(line)
  }

  #count(line: Line, by: 1 | -1): void {
    const { lane, queue, turn } = line
    line.waiting += by
    turn.waiting += by
    queue.waiting += by
    lane.waiting += by
    // One a worker that holds images, or is avoided, and one a tenant whose jobs need what only some have: they come and go.
    const { avoid, bound, holder } = queue.need
    if (queue.waiting === 0 && (holder ?? avoid ?? bound) !== undefined) lane.queues.delete(queueKey(queue.need))
  }

  #lineOf(job: OpenJob): Line {
    const lane = this.laneOf(job)
    const key = queueKey(job.need)
    let queue = lane.queues.get(key)
    if (queue === undefined) {
      queue = { need: job.need, lines: new Map(), heap: new Heap(sooner), waiting: 0 }
      lane.queues.set(key, queue)
    }
    const { target } = job.need
    const lineKey = target === undefined ? job.tenantId : `${job.tenantId} ${target}`
    const known = queue.lines.get(lineKey)
    if (known !== undefined) return known
    let turn = lane.turns.get(job.tenantId)
    if (turn === undefined) {
      turn = { tenant: this.#tenant(job.tenantId), time: 0, waiting: 0 }
      lane.turns.set(job.tenantId, turn)
    }
    const line: Line = {
      key: lineKey, lane, turn, queue, target, waiting: 0, inHeap: false, time: 0, order: 0, oldest: Infinity,
      jobs: { high: new Waiting(older), normal: new Waiting(older), low: new Waiting(older) }
    }
    queue.lines.set(lineKey, line)
    return line
  }

  #tenant(tenantId: TenantId): Tenant {
    const known = this.#tenants.get(tenantId)
    if (known !== undefined) return known
    const tenant: Tenant = { tenantId, taken: 0, held: new Set() }
    this.#tenants.set(tenantId, tenant)
    return tenant
  }
}

/** What may still be in it was removed. */
const forget = (line: Line): void => {
  if (line.queue.lines.get(line.key) === line) line.queue.lines.delete(line.key)
}

/** Nobody else writes that mark. */
const lineOf = ({ place }: OpenJob): Line | undefined => place as Line | undefined

/** The first of each priority has waited longest, but for those queued again, which stand where they stood; it may be a little too young. */
const oldestIn = (line: Line): number => {
  let oldest = Infinity
  if (line.waiting === 0) return oldest
  for (const priority of priorities) {
    const waiting: Iterable<OpenJob> = line.jobs[priority]
    for (const { attempt, place, queuedAt } of waiting) {
      if (place !== line) continue
      oldest = Math.min(oldest, queuedAt)
      if (attempt === 1) break
    }
  }
  return oldest
}

const keys = new WeakMap<Need, string>()

const queueKey = (need: Need): string => {
  const known = keys.get(need)
  if (known !== undefined) return known
  const { architecture, avoid, bound, distribution, holder, imageType } = need
  const made = `${architecture}/${distribution}/${imageType}${avoid === undefined ? "" : `!${avoid}`}`
  const key = `${holder === undefined ? made : `@${holder.worker}`}${bound === undefined ? "" : `+${bound.tenantId}:${bound.sets.join()}`}`
  keys.set(need, key)
  return key
}

const suits = (need: Need, worker: Worker): boolean =>
  need.holder === undefined ? canDo(worker, need) : worker.speaker.worker === need.holder.worker && canDo(worker, need)

const avoids = (need: Need, worker: Worker): boolean => need.avoid === worker.speaker.worker
