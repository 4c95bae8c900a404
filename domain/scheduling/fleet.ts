/** The workers that have been heard of lately, and the slots they offer. */
import type { Heartbeat, Speaker } from "../work.ts"

interface Worker extends Speaker {
  readonly heartbeat: Heartbeat
  readonly heardAt: number
}

export class Fleet {
  readonly #workers = new Map<string, Worker>()
  /** Milliseconds without a heartbeat after which a worker counts as lost. */
  readonly #lostAfter: number
  /** Before this nobody counts as lost: we have only begun to listen. */
  readonly #graceUntil: number

  constructor(lostAfter: number, now: number) {
    this.#lostAfter = lostAfter
    this.#graceUntil = now + lostAfter
  }

  hear(speaker: Speaker, heartbeat: Heartbeat, now: number): void {
    this.#workers.set(nameOf(speaker), { ...speaker, heartbeat, heardAt: now })
  }

  isLost(speaker: Speaker, now: number): boolean {
    if (now < this.#graceUntil) return false
    const worker = this.#workers.get(nameOf(speaker))
    return worker === undefined || now - worker.heardAt > this.#lostAfter
  }

  /** Slots of a pool for one architecture and kind of job, of workers that take new work. */
  slots(pool: string, architecture: string, kind: string, now: number): number {
    let slots = 0
    for (const { pool: own, heartbeat, heardAt } of this.#workers.values()) {
      if (own !== pool || heartbeat.draining || now - heardAt > this.#lostAfter) continue
      if (heartbeat.architectures.some((offered) => offered === architecture)) {
        slots += heartbeat.slots[kind as keyof Heartbeat["slots"]]
      }
    }
    return slots
  }

  forget(now: number): void {
    for (const [name, { heardAt }] of this.#workers) if (now - heardAt > 10 * this.#lostAfter) this.#workers.delete(name)
  }

  get size(): number {
    return this.#workers.size
  }
}

const nameOf = ({ pool, worker }: Speaker) => `${pool}/${worker}`
