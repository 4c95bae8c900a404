/**
 * Group commit. The server syncs its file for every single publish, so under load a thousand appends a second are all it
 * takes; an atomic batch is synced once. A lone append goes out at once; what gathers behind it goes as one batch.
 * If a batch is refused for one member's conflict, its members go one by one. Callers see nothing of it.
 */
import { JetStreamApiError } from "@nats-io/jetstream"
import { headers, nuid } from "@nats-io/transport-node"
import type { Nats } from "./nats.ts"

interface Append {
  readonly subject: string
  readonly data: string | Uint8Array
  readonly msgID: string
  readonly resolve: (sequence: number | undefined) => void
  readonly reject: (error: unknown) => void
}

/** Wrong expectation, subject taken, another write in flight: all say that somebody was first. */
const conflicts = new Set([10071, 10077, 10164])

/** So many single publishes at a time; a batch pays from so many on, and is never larger than so many or so long. */
const singlesAtOnce = 4
const batchFrom = 8
const batchTo = 200
const batchBytes = 2 * 2 ** 20
const timeout = 10_000

export class Appender {
  readonly #nats: Nats
  readonly #stream: string
  #waiting: Array<Append> = []
  #singles = 0
  #batching = false

  constructor(nats: Nats, stream: string) {
    this.#nats = nats
    this.#stream = stream
  }

  /** The sequence it was stored under, when it is on disk; nothing if the subject is taken by another message. */
  append(subject: string, data: string | Uint8Array, msgID: string): Promise<number | undefined> {
    return new Promise((resolve, reject) => {
      this.#waiting.push({ subject, data, msgID, resolve, reject })
      this.#pump()
    })
  }

  #pump(): void {
    while (this.#waiting.length > 0 && !this.#batching) {
      if (this.#singles < singlesAtOnce && this.#waiting.length < batchFrom) {
        const append = this.#waiting.shift()!
        this.#singles += 1
        void this.#single(append).finally(() => {
          this.#singles -= 1
          this.#pump()
        })
      } else if (this.#waiting.length >= batchFrom) {
        this.#batching = true
        void this.#batch(this.#takeBatch()).finally(() => {
          this.#batching = false
          this.#pump()
        })
      } else {
        return
      }
    }
  }

  #takeBatch(): Array<Append> {
    let bytes = 0
    let count = 0
    while (count < this.#waiting.length && count < batchTo && (count === 0 || bytes + this.#waiting[count]!.data.length <= batchBytes)) {
      bytes += this.#waiting[count]!.data.length
      count += 1
    }
    return this.#waiting.splice(0, count)
  }

  async #single({ subject, data, msgID, resolve, reject }: Append): Promise<void> {
    try {
      resolve((await this.#nats.js.publish(subject, data, { msgID })).seq)
    } catch (error) {
      if (!(error instanceof JetStreamApiError) || !conflicts.has(error.code)) return reject(error)
      // Past the server's window for duplicates, or on a cluster, our own earlier write looks like somebody else's.
      await this.#nats.jsm.streams.getMessage(this.#stream, { last_by_subj: subject }).then(
        (taken) => resolve(taken?.header.get("Nats-Msg-Id") === msgID ? taken.seq : undefined), reject)
    }
  }

  /** All or nothing, as the server does it; a batch of unknown fate is repeated member by member, known by their ids. */
  async #batch(appends: ReadonlyArray<Append>): Promise<void> {
    const last = await this.#publishBatch(appends).catch(() => undefined)
    if (last === undefined) {
      await Promise.all(appends.map((append) => this.#single(append)))
      return
    }
    appends.forEach(({ resolve }, index) => resolve(last - appends.length + 1 + index))
  }

  async #publishBatch(appends: ReadonlyArray<Append>): Promise<number | undefined> {
    const id = nuid.next()
    for (const [index, { subject, data, msgID }] of appends.entries()) {
      const h = headers()
      h.set("Nats-Batch-Id", id)
      h.set("Nats-Batch-Sequence", String(index + 1))
      h.set("Nats-Msg-Id", msgID)
      if (index < appends.length - 1) {
        this.#nats.nc.publish(subject, data, { headers: h })
        continue
      }
      h.set("Nats-Batch-Commit", "1")
      const answer = (await this.#nats.nc.request(subject, data, { headers: h, timeout })).json<{ seq?: number; count?: number; error?: unknown }>()
      return answer.error === undefined && answer.count === appends.length ? answer.seq : undefined
    }
    return undefined
  }
}
