/** The workers that have been heard of lately, what they can do, and how busy they are. */
import { isFor, type OfferedSet } from "../credential-sets.ts"
import type { Digest, PoolId, PoolScope, TenantId, WorkerId } from "../ids.ts"
import { poolsOf } from "../ids.ts"
import { JobKind } from "../job.ts"
import { type Heartbeat, type Speaker, speakerKey } from "../work.ts"
import type { Bound, Need } from "./open-jobs.ts"

type Counts = Record<JobKind, number>

/** `heartbeat` is absent while only the log has told of this worker. */
export interface Worker {
  readonly speaker: Speaker
  /** When it was found to have begun anew; 0 if it has not since we listen. */
  sessionSince: number
  heartbeat: Heartbeat | undefined
  /** Both 0 for never. */
  firstHeardAt: number
  heardAt: number
  /** Jobs that lie on its queue or that it runs. */
  readonly busy: Counts
  idleSince: number
  held: ReadonlySet<Digest>
  /** The oldest first. */
  readonly formerSessions: Set<string>
}

const sessionsKept = 8

export class Fleet {
  readonly #workers = new Map<string, Worker>()
  readonly #pools = new Map<PoolId, Set<Worker>>()
  readonly #lostAfterMs: (pool: PoolId) => number
  /** Of each scope: asked for with every look at a worker. */
  readonly #silences = new Map<PoolScope, number>()
  readonly #since: number
  /** Sets of credentials that operators have given to workers, by name; made anew after a change. */
  #offers: ReadonlyMap<string, ReadonlyArray<OfferedSet>> | undefined
  #offersNo = 0
  /** By pool, all sets that workers have ever said they have: one that is away now may come back. */
  readonly #offered = new Map<PoolId, Map<string, OfferedSet>>()

  constructor(lostAfterMs: (pool: PoolId) => number, now: number) {
    this.#lostAfterMs = lostAfterMs
    this.#since = now
  }

  get size(): number {
    return this.#workers.size
  }

  workers(): Iterable<Worker> {
    return this.#workers.values()
  }

  hear(speaker: Speaker, heartbeat: Heartbeat, now: number): Worker {
    const worker = this.#known(speaker, now)
    if (worker.heartbeat?.session !== heartbeat.session) {
      worker.firstHeardAt = now
      if (worker.heartbeat !== undefined) worker.formerSessions.add(worker.heartbeat.session)
      // A scheduler that works for weeks hears of many.
      if (worker.formerSessions.size > sessionsKept) worker.formerSessions.delete(worker.formerSessions.values().next().value!)
    }
    if (worker.heartbeat !== undefined && worker.heartbeat.session !== heartbeat.session) worker.sessionSince = now
    if (!isSameOffer(worker.heartbeat?.credentials, heartbeat.credentials)) {
      this.#offersChanged()
      this.#remember(speaker, heartbeat.credentials)
    }
    worker.heartbeat = heartbeat
    worker.heardAt = now
    if (heartbeat.held !== undefined) worker.held = new Set(heartbeat.held)
    return worker
  }

  /** Whether some worker has a set of that name from its operator which this tenant's deliveries use. */
  offers(set: string, tenantId: TenantId): boolean {
    this.#offers ??= Map.groupBy([...this.#workers.values()].flatMap(({ heartbeat }) => heartbeat?.credentials ?? []), ({ name }) => name)
    return this.#offers.get(set)?.some((offered) => isFor(offered, tenantId)) ?? false
  }

  /** Whether a worker of the pool that is not forgotten has that set for this tenant. */
  holdsSet(pool: PoolId, set: string, tenantId: TenantId): boolean {
    const bound = { tenantId, sets: [set] }
    for (const worker of this.serving(pool)) if (hasSets(worker, bound)) return true
    return false
  }

  /** Whether one ever had it, as far as is known. */
  hasHeldSet(pool: PoolId, set: string, tenantId: TenantId): boolean {
    return [...this.#offered.get(pool)?.values() ?? []].some((offered) => offered.name === set && isFor(offered, tenantId))
  }

  /** Another one after each change of what is offered. */
  get offersNo(): number {
    return this.#offersNo
  }

  get(speaker: Speaker): Worker | undefined {
    return this.#workers.get(speakerKey(speaker))
  }

  /** Whoever serves a pool, in the order of their last assignments; the silent and the leaving are among them. */
  serving(pool: PoolId): Iterable<Worker> {
    return this.#pools.get(pool) ?? []
  }

  named(pool: PoolId, name: WorkerId): Worker | undefined {
    for (const worker of this.serving(pool)) if (worker.speaker.worker === name) return worker
    return undefined
  }

  occupy(speaker: Speaker, kind: JobKind, now: number): void {
    const worker = this.#known(speaker, now)
    worker.busy[kind] += 1
    for (const pool of poolsOf(speaker.scope)) {
      const turn = this.#pools.get(pool)!
      turn.delete(worker)
      turn.add(worker)
    }
  }

  vacate(speaker: Speaker, kind: JobKind, now: number): void {
    const worker = this.get(speaker)
    if (worker === undefined) return
    worker.busy[kind] -= 1
    if (load(worker) === 0) worker.idleSince = now
  }

  isLive(worker: Worker, now: number): boolean {
    return worker.heartbeat !== undefined && now - worker.heardAt <= this.lostAfterMs(worker.speaker)
  }

  isOpen(worker: Worker, now: number): boolean {
    return this.isLive(worker, now) && !worker.heartbeat!.draining
  }

  /** Nobody is lost before we have listened for as long as a worker may be silent. */
  isLost(speaker: Speaker, now: number): boolean {
    const silence = this.lostAfterMs(speaker)
    return now - Math.max(this.get(speaker)?.heardAt ?? 0, this.#since) > silence
  }

  /** The worker has been heard in a later session since. */
  isOver(speaker: Speaker, session: string): boolean {
    return this.get(speaker)?.formerSessions.has(session) ?? false
  }

  lostAfterMs({ scope }: Speaker): number {
    const known = this.#silences.get(scope)
    if (known !== undefined) return known
    const silence = Math.min(...poolsOf(scope).map(this.#lostAfterMs))
    this.#silences.set(scope, silence)
    return silence
  }

  /** Those who have been silent for long and hold nothing. */
  forget(now: number): ReadonlyArray<Speaker> {
    const gone = [...this.#workers.values()].filter((worker) =>
      load(worker) === 0 && now - Math.max(worker.heardAt, this.#since) > 10 * this.lostAfterMs(worker.speaker))
    if (gone.some(({ heartbeat }) => heartbeat?.credentials !== undefined)) this.#offersChanged()
    for (const worker of gone) {
      this.#workers.delete(speakerKey(worker.speaker))
      for (const pool of poolsOf(worker.speaker.scope)) this.#pools.get(pool)?.delete(worker)
    }
    return gone.map(({ speaker }) => speaker)
  }

  #offersChanged(): void {
    this.#offers = undefined
    this.#offersNo += 1
  }

  #remember({ scope }: Speaker, offers: ReadonlyArray<OfferedSet> = []): void {
    for (const pool of poolsOf(scope)) {
      const known = this.#offered.get(pool) ?? new Map<string, OfferedSet>()
      for (const offer of offers) known.set(JSON.stringify(offer), offer)
      this.#offered.set(pool, known)
    }
  }

  #known(speaker: Speaker, now: number): Worker {
    const key = speakerKey(speaker)
    const known = this.#workers.get(key)
    if (known !== undefined) return known
    const worker: Worker = {
      speaker, sessionSince: 0, heartbeat: undefined, firstHeardAt: 0, heardAt: 0, idleSince: now, held: new Set(), formerSessions: new Set(),
      busy: Object.fromEntries(JobKind.literals.map((kind) => [kind, 0])) as Counts
    }
    this.#workers.set(key, worker)
    for (const pool of poolsOf(speaker.scope)) this.#pools.set(pool, (this.#pools.get(pool) ?? new Set()).add(worker))
    return worker
  }
}

const isSameOffer = (one: ReadonlyArray<OfferedSet> = [], other: ReadonlyArray<OfferedSet> = []): boolean =>
  (one.length === 0 && other.length === 0) || JSON.stringify(one) === JSON.stringify(other)

export const load = ({ busy }: Worker): number => JobKind.literals.reduce((sum, kind) => sum + busy[kind], 0)

export const slotsOf = (worker: Worker, kind: JobKind): number => worker.heartbeat?.slots[kind] ?? 0

/** Whether a worker's abilities cover a need; where an image lies is looked at elsewhere. */
export const canDo = (worker: Worker, { architecture, bound, distribution, imageType, kind }: Need): boolean => {
  const { heartbeat } = worker
  if (heartbeat === undefined || (heartbeat.slots[kind] ?? 0) === 0) return false
  if (bound !== undefined && !hasSets(worker, bound)) return false
  const offers = (list: ReadonlyArray<string> | undefined, wanted: string) => list === undefined || list.includes(wanted)
  // Whoever moves a finished image need not be able to make it.
  if (!makesImages.has(kind)) return true
  return offers(heartbeat.architectures, architecture) && offers(heartbeat.distributions, distribution) && offers(heartbeat.imageTypes, imageType)
}

export const hasSets = ({ heartbeat }: Worker, { sets, tenantId }: Bound): boolean =>
  sets.every((name) => heartbeat?.credentials?.some((set) => set.name === name && isFor(set, tenantId)) ?? false)

const makesImages: ReadonlySet<JobKind> = new Set(["resolve", "build"] as const)
