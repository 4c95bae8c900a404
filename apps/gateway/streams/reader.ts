/** Who reads a stream: a response that is written to as fast as it is read, and no faster. */
import type { ServerResponse } from "node:http"
import { Effect } from "effect"

/** Why the stream has ended for it. `ended`: there is no more; `left`: it has gone by itself. */
export type Leaving = "ended" | "left" | "slow" | "token-expired" | "stopping" | "unavailable"

export interface Manner {
  /** What is said while nothing happens; nothing where silence cannot be filled. */
  silence(position: string | undefined): string | undefined
  /** Last words to who should come back. */
  farewell(why: Leaving, position: string | undefined): string | undefined
}

/** What was written may still lie with us when it is over; whoever does not take it then is cut off. */
const graceMs = 10_000

export class Reader {
  /** Called when more can be written again. */
  onFree: () => void = () => {}
  /** The id of where it is, where that is another than that of its last event. */
  position: () => string | undefined = () => undefined
  private farewells: Array<() => void> = []
  /** Why it has gone. */
  why: Leaving | undefined
  private blockedAt: number | undefined
  private writtenAt = Date.now()
  private readonly response: ServerResponse
  private readonly expiresAt: number
  private readonly manner: Manner

  constructor(response: ServerResponse, expiresAt: number, manner: Manner) {
    this.response = response
    this.expiresAt = expiresAt
    this.manner = manner
    response.on("drain", () => {
      this.blockedAt = undefined
      this.onFree()
    })
    response.on("close", () => this.leave("left"))
  }

  get free(): boolean {
    return this.blockedAt === undefined && this.why === undefined
  }

  get hasGone(): boolean {
    return this.why !== undefined
  }

  write(text: Uint8Array | string): void {
    if (this.why !== undefined) return
    this.writtenAt = Date.now()
    if (!this.response.write(text)) this.blockedAt ??= this.writtenAt
  }

  leave(why: Leaving): void {
    if (this.why !== undefined) return
    const last = this.manner.farewell(why, this.position())
    if (last !== undefined) this.write(last)
    this.why = why
    if (why !== "left") {
      this.response.end()
      const cut = setTimeout(() => this.response.destroy(), graceMs).unref()
      this.response.once("close", () => clearTimeout(cut))
    }
    for (const farewell of this.farewells) farewell()
    // Whoever waits for room finds out that there will be none.
    this.onFree()
  }

  /** Called once, at once if it has gone. */
  whenGone(farewell: () => void): void {
    if (this.hasGone) farewell()
    else this.farewells.push(farewell)
  }

  /** To be called from time to time. */
  look(now: number, keepAliveMs: number, patienceMs: number): void {
    if (now >= this.expiresAt) return this.leave("token-expired")
    if (this.blockedAt !== undefined) return now - this.blockedAt >= patienceMs ? this.leave("slow") : undefined
    if (now - this.writtenAt >= keepAliveMs) this.wake()
  }

  wake(): void {
    const text = this.manner.silence(this.position())
    if (text !== undefined) this.write(text)
  }

  /** When more can be written, or never will be. */
  readonly room: Effect.Effect<void> = Effect.callback((resume) => {
    if (this.free || this.why !== undefined) return resume(Effect.void)
    this.onFree = () => resume(Effect.void)
  })
}
