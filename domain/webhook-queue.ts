/**
 * What waits for one webhook. Order holds within a lane, lanes go side by side. An endpoint that fails again and again is
 * tried with one delivery at a time, after longer and longer pauses, until one arrives.
 */

export interface Waiting {
  /** Grows with the order in which they came to be. */
  readonly id: number
  readonly lane: string
  /** Asked for by hand: at once, whatever else waits. */
  readonly urgent: boolean
  readonly attempts: number
  readonly notBefore: number
}

interface Lane<W> {
  readonly waiting: Array<W>
  busy: boolean
  notBefore: number
}

/** Of an endpoint to which nothing has arrived since. */
export interface Failing {
  readonly since: number
  readonly failures: number
  readonly notBefore: number
}

/** From so many failures in a row on it is the endpoint's fault, and not that of what was sent. */
const suspicious = 3
const atOnce = 4

const placeOf = (all: ReadonlyArray<Waiting>, { id }: Waiting): number => all.findIndex((each) => each.id === id)

export class WebhookQueue<W extends Waiting> {
  failing: Failing | undefined
  /** The last that has come in; others may wait where they are stored. */
  newest = 0
  size = 0
  private readonly lanes = new Map<string, Lane<W>>()
  private readonly urgent: Array<W> = []
  private readonly flying = new Set<number>()

  constructor(failing?: Failing) {
    this.failing = failing
  }

  /** In the order of ids; what is here already is passed over. */
  add(waiting: W): void {
    if (waiting.id <= this.newest) return
    this.newest = waiting.id
    this.size += 1
    if (waiting.urgent) return void this.urgent.push(waiting)
    const lane = this.lanes.get(waiting.lane)
    if (lane === undefined) this.lanes.set(waiting.lane, { waiting: [waiting], busy: false, notBefore: waiting.notBefore })
    else lane.waiting.push(waiting)
  }

  get isDown(): boolean {
    return this.failing !== undefined && this.failing.failures >= suspicious
  }

  /** Something that may be sent now; it counts as on its way until `arrived`, `given up` or `failed`. */
  next(now: number): W | undefined {
    const urgent = this.urgent.find(({ id }) => !this.flying.has(id))
    if (urgent !== undefined) return this.sent(urgent)
    if (this.flying.size >= (this.isDown ? 1 : atOnce) || (this.isDown && now < this.failing!.notBefore)) return undefined
    for (const lane of this.lanes.values()) {
      if (lane.busy || (!this.isDown && lane.notBefore > now)) continue
      lane.busy = true
      return this.sent(lane.waiting[0]!)
    }
    return undefined
  }

  arrived(waiting: W): void {
    // What waited since the endpoint was away need not wait any more.
    if (this.isDown) for (const lane of this.lanes.values()) lane.notBefore = 0
    this.failing = undefined
    this.givenUp(waiting)
  }

  givenUp(waiting: W): void {
    this.flying.delete(waiting.id)
    this.size -= 1
    const place = placeOf(this.urgent, waiting)
    if (place >= 0) return void this.urgent.splice(place, 1)
    const lane = this.lanes.get(waiting.lane)
    if (lane === undefined) return
    this.lanes.delete(waiting.lane)
    lane.waiting.splice(placeOf(lane.waiting, waiting), 1)
    lane.busy = false
    lane.notBefore = 0
    if (lane.waiting.length > 0) this.lanes.set(waiting.lane, lane)
  }

  /**
   * It stays first in its lane; what was urgent has a lane of its own from then on, and is not urgent any more. `pause`: of the
   * lane, by its own failures; `rest`: of the endpoint, by all in a row.
   */
  failed(waiting: W, again: W, now: number, rest: (failures: number) => number): void {
    this.flying.delete(waiting.id)
    const failures = (this.failing?.failures ?? 0) + 1
    this.failing = { since: this.failing?.since ?? now, failures, notBefore: now + (failures < suspicious ? 0 : rest(failures - suspicious + 1)) }
    if (waiting.urgent) {
      this.urgent.splice(placeOf(this.urgent, waiting), 1)
      return void this.lanes.set(again.lane, { waiting: [again], busy: false, notBefore: again.notBefore })
    }
    const lane = this.lanes.get(waiting.lane)
    if (lane === undefined) return
    this.lanes.delete(waiting.lane)
    lane.waiting[placeOf(lane.waiting, waiting)] = again
    lane.busy = false
    lane.notBefore = again.notBefore
    this.lanes.set(waiting.lane, lane)
  }

  /** Takes out what was not sent yet and is of no more use. */
  discard(useless: (waiting: W) => boolean): ReadonlyArray<W> {
    const gone = [...this.lanes.values()].flatMap(({ waiting }) => waiting).filter((each) => !this.flying.has(each.id) && useless(each))
    for (const each of gone) {
      const lane = this.lanes.get(each.lane)!
      lane.waiting.splice(placeOf(lane.waiting, each), 1)
      if (lane.waiting.length === 0) this.lanes.delete(each.lane)
    }
    this.size -= gone.length
    return gone
  }

  /** When `next` may have an answer; nothing while only an end of what is on its way can tell. */
  wakeAt(): number | undefined {
    if (this.flying.size >= (this.isDown ? 1 : atOnce)) return undefined
    const idle = [...this.lanes.values()].filter(({ busy }) => !busy)
    if (idle.length === 0) return undefined
    return this.isDown ? this.failing!.notBefore : Math.min(...idle.map(({ notBefore }) => notBefore))
  }

  private sent(waiting: W): W {
    this.flying.add(waiting.id)
    return waiting
  }
}
