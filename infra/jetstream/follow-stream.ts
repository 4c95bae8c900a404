/** A stream's entries in order, from the server. */
import { setTimeout } from "node:timers/promises"
import type { JsMsg } from "@nats-io/jetstream"
import { Effect, Stream } from "effect"
import { LogUnavailable } from "../../domain/ports/event-log.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import { decode } from "./envelope.ts"
import { attentive, type Nats } from "./nats.ts"

export const unavailable = (error: unknown) => new LogUnavailable({ message: `the log does not answer: ${(error as Error).message}` })

interface Whence {
  readonly stream: string
  readonly after: number
  /** Only what is on subjects that begin so. */
  readonly beginnings?: ReadonlyArray<string> | undefined
}

/** Goes on with what is new; ends only with its stream. */
export const followStream = (nats: Nats, whence: Whence): Stream.Stream<LogEntry, LogUnavailable> =>
  Stream.unwrap(Effect.map(consume(nats, whence), ({ messages }) =>
    Stream.fromAsyncIterable(messages, unavailable).pipe(Stream.map((message) => entryOf(whence.stream, message)))))

/** What a filter leaves out is not delivered: the last message that it lets through says that none follows. */
export const scanStream = (nats: Nats, { upTo, ...whence }: Whence & { readonly upTo: number }): Stream.Stream<LogEntry, LogUnavailable> =>
  whence.after >= upTo ? Stream.empty : Stream.unwrap(Effect.gen(function*() {
    const { messages, pending } = yield* consume(nats, whence)
    if (pending === 0) return Stream.empty
    return Stream.flattenIterable(Stream.fromAsyncIterable(handfuls(whence.stream, messages, upTo), unavailable))
  }))

/** Handed on one by one, entries cost more than to read and decode them. */
const handful = 500

async function* handfuls(stream: string, messages: AsyncIterable<JsMsg>, upTo: number): AsyncGenerator<ReadonlyArray<LogEntry>> {
  let entries: Array<LogEntry> = []
  for await (const message of messages) {
    if (message.seq <= upTo) entries.push(entryOf(stream, message))
    const last = message.seq >= upTo || message.info.pending === 0
    if (last || entries.length >= handful) {
      yield entries
      entries = []
    }
    if (last) return
  }
  throw new Error(`${stream} ended before its entry ${upTo}`)
}

const entryOf = (stream: string, message: JsMsg): LogEntry => decode(message.subject, { stream, sequence: message.seq }, message.string())

const deleteWithinMs = 500

export const consume = (nats: Nats, { after, beginnings, stream }: Whence) =>
  Effect.gen(function*() {
    const [, messages, pending] = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const consumer = await nats.js.consumers.get(stream, {
            deliver_policy: "by_start_sequence", opt_start_seq: after + 1, inactive_threshold: 60_000,
            ...(beginnings !== undefined && { filter_subjects: beginnings.map((beginning) => `${beginning}>`) })
          })
          const { num_pending } = await consumer.info()
          return [consumer, await consumer.consume({ max_messages: 1000, ...attentive }), num_pending] as const
        },
        catch: unavailable
      }),
      ([consumer, messages]) => Effect.promise(async () => {
        // What it answers with waits for whoever iterates, and where nothing was to be read, nobody does.
        void messages.close()
        // Where the server is away it goes by itself, some time after nobody has asked it; nobody waits for that.
        await Promise.race([consumer.delete().catch(() => false), setTimeout(deleteWithinMs, undefined, { ref: false })])
      })
    )
    return { messages, pending }
  })
