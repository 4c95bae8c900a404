/**
 * What waits, by what it waits for: a lane of each kind of job in each pool, in it a queue of each need, in that a line of
 * each tenant's jobs.
 */
import type { Priority } from "../compose-request.ts"
import type { PoolId, TenantId } from "../ids.ts"
import type { JobKind } from "../job.ts"
import { Heap } from "./heap.ts"
import type { Need, OpenJob } from "./open-jobs.ts"
import { Waiting } from "./waiting.ts"

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
  /** A running mean of how long a job takes, in milliseconds; undefined before the first has ended. */
  meanMs: number | undefined
}

/** A tenant in one lane. */
export interface Turn {
  readonly tenantId: TenantId
  /** The virtual time at which it is served next. */
  time: number
  waiting: number
}

/** The jobs of a lane that the same workers can do. */
export interface NeedQueue {
  readonly need: Need
  /** By tenant, and by what deliveries are counted by. */
  readonly lines: Map<string, Line>
  readonly heap: Heap<Line>
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
  /** Its turn's virtual time when it was put into the heap, or looked at last. */
  time: number
  /** Among lines of the same time the lower goes first. */
  order: number
  /** Nothing that waits here was queued before. */
  oldest: number
}

/** What a line's `oldest` was when this was written; void if it is another one now. */
export interface Age {
  readonly line: Line
  readonly queuedAt: number
}

export const priorities: ReadonlyArray<Priority> = ["high", "normal", "low"]

/** Ids of composes begin with the time of their request: what is queued again stands where it stood, also after a restart. */
const older = (one: OpenJob, other: OpenJob) => one.composeId < other.composeId
const earlier = (one: Age, other: Age) => one.queuedAt < other.queuedAt
/** Which of two lines is served first. */
export const sooner = (one: Line, other: Line) => one.time < other.time || (one.time === other.time && one.order < other.order)

export class Lanes {
  readonly all = new Map<string, Lane>()
  /** The same as the last one's, as a rule: a million jobs need not each make its key. */
  #last: Lane | undefined

  of(pool: PoolId, kind: JobKind): Lane {
    if (this.#last?.pool === pool && this.#last.kind === kind) return this.#last
    const key = `${pool}/${kind}`
    const lane = this.all.get(key) ?? newLane(pool, kind)
    this.all.set(key, lane)
    this.#last = lane
    return lane
  }
}

const newLane = (pool: PoolId, kind: JobKind): Lane =>
  ({ pool, kind, queues: new Map(), turns: new Map(), ages: new Heap(earlier), time: 0, waiting: 0, meanMs: undefined })

/** Where a job belongs in a lane, made where it is the first. */
export const lineIn = (lane: Lane, { need, tenantId }: OpenJob): Line => {
  const queue = queueIn(lane, need)
  const { target } = need
  const key = target === undefined ? tenantId : `${tenantId} ${target}`
  const known = queue.lines.get(key)
  if (known !== undefined) return known
  const line: Line = {
    key, lane, turn: turnIn(lane, tenantId), queue, target, waiting: 0, inHeap: false, time: 0, order: 0, oldest: Infinity,
    jobs: { high: new Waiting(older), normal: new Waiting(older), low: new Waiting(older) }
  }
  queue.lines.set(key, line)
  return line
}

const queueIn = (lane: Lane, need: Need): NeedQueue => {
  const key = queueKey(need)
  const known = lane.queues.get(key)
  if (known !== undefined) return known
  const queue: NeedQueue = { need, lines: new Map(), heap: new Heap(sooner), waiting: 0 }
  lane.queues.set(key, queue)
  return queue
}

const turnIn = (lane: Lane, tenantId: TenantId): Turn => {
  const known = lane.turns.get(tenantId)
  if (known !== undefined) return known
  const turn: Turn = { tenantId, time: 0, waiting: 0 }
  lane.turns.set(tenantId, turn)
  return turn
}

/** Where a job waits; nobody but the fair queue writes that mark. */
export const lineOf = ({ place }: OpenJob): Line | undefined => place as Line | undefined

/** One job more waits here, or one less. */
export const count = (line: Line, by: 1 | -1): void => {
  const { lane, queue, turn } = line
  line.waiting += by
  turn.waiting += by
  queue.waiting += by
  lane.waiting += by
  // One a worker that holds images, or is avoided, and one a tenant whose jobs need what only some have: they come and go.
  const { avoid, bound, holder } = queue.need
  if (queue.waiting === 0 && (holder ?? avoid ?? bound) !== undefined) lane.queues.delete(queueKey(queue.need))
}

/** What may still be in it was removed. */
export const forget = (line: Line): void => {
  if (line.queue.lines.get(line.key) === line) line.queue.lines.delete(line.key)
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
