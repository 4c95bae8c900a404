/** What is open, by the log as it grows: tenants wait for ends by it, and rest is told from standstill. */
import { Effect, Schedule, Stream } from "effect"
import type { Stack } from "../../apps/standalone/stack.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import { logOf } from "./evidence.ts"

export class Book {
  readonly #open = new Set<string>()
  readonly #positions = new Map<string, number>()
  /** Composes that have ended. */
  ended = 0
  /** The most that were open at once. */
  peak = 0
  /** When the log last told of a compose, and until when a job waits for its time; milliseconds since 1970. */
  movedAt = 0
  notBefore = 0

  get open(): number {
    return this.#open.size
  }

  positionOf(stream: string): number {
    return this.#positions.get(stream) ?? 0
  }

  record(entry: LogEntry, now: number): void {
    this.#positions.set(entry.position.stream, entry.position.sequence)
    if (entry._tag === "Unreadable" || entry.aggregate !== "compose") return
    const name = `${entry.tenantId}/${entry.id}`
    this.movedAt = now
    for (const event of entry.events) {
      if (event._tag === "ComposeRequested" || event._tag === "ComposeReopened") this.#open.add(name)
      if (event._tag === "JobQueued") this.notBefore = Math.max(this.notBefore, event.notBefore ?? 0)
      if ((event._tag === "ComposeFinished" || event._tag === "ComposeCanceled") && this.#open.delete(name)) this.ended += 1
    }
    this.peak = Math.max(this.peak, this.#open.size)
  }
}

/** Kept until the signal says stop, over every outage. */
export const keepBook = (stack: Stack, signal: AbortSignal, say: (line: string) => void): Book => {
  const book = new Book()
  const follow = Effect.flatMap(EventLog, (log) =>
    Stream.runDrain(Stream.mapEffect(log.streamsAsTheyCome, (stream) =>
      Effect.suspend(() => Stream.runForEach(log.follow(stream, book.positionOf(stream)), (entry) => Effect.sync(() => book.record(entry, Date.now())))).pipe(
        Effect.retry(Schedule.spaced("1 second"))), { concurrency: "unbounded" })))
  Effect.runPromise(Effect.scoped(Effect.provide(follow, logOf(stack))), { signal }).catch((error: unknown) => {
    if (!signal.aborted) say(`the log is not followed any more: ${String(error)}`)
  })
  return book
}
