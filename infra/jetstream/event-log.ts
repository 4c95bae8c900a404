/** The log on JetStream. The version is the subject's last token on a write-once stream, so the server settles every race. */
import type { StoredMsg } from "@nats-io/jetstream"
import { Effect, Layer, Queue, Stream } from "effect"
import { EventLog, LogUnavailable, type Stored, WrongRevision } from "../../domain/ports/event-log.ts"
import type { AggregateRef, Decision, LogEntry, Recorded } from "../../domain/recorded.ts"
import { Appender } from "./appender.ts"
import { decode, encode } from "./envelope.ts"
import { CoreNats, type Nats } from "./nats.ts"
import { ensureEventStreams, eventStream, livePrefix, streamOf, subjectOf } from "./streams.ts"

export interface EventLogConfig {
  /** Fixed when the log is first made. */
  readonly partitions: number
  readonly replicas: number
}

const unavailable = (error: unknown) => new LogUnavailable({ message: `the log does not answer: ${(error as Error).message}` })

export const EventLogJetStream = ({ partitions, replicas }: EventLogConfig) =>
  Layer.effect(EventLog, Effect.gen(function*() {
    const nats = yield* CoreNats
    yield* ensureEventStreams(nats.jsm, partitions, replicas)
    const streams = Array.from({ length: partitions }, (_, index) => eventStream(index, partitions).name)
    const appenders = new Map(streams.map((stream) => [stream, new Appender(nats, stream)]))

    const append = Effect.fn("EventLog.append")(function*(ref: AggregateRef, after: number, decision: Decision) {
      const subject = `${subjectOf(ref, partitions)}.${after + 1}`
      const stream = streamOf(ref, partitions).name
      const msgID = `${ref.tenantId}/${ref.aggregate}/${ref.id}/${decision.messageId}`
      const sequence = yield* Effect.tryPromise({
        try: () => appenders.get(stream)!.append(subject, encode(ref, after + 1, decision), msgID),
        catch: unavailable
      })
      if (sequence === undefined) return yield* new WrongRevision({ aggregate: ref.aggregate, id: ref.id, after })
      return { stream, sequence }
    })

    return EventLog.of({
      read: Effect.fn("EventLog.read")(function*(ref: AggregateRef) {
        const stream = streamOf(ref, partitions).name
        const stored = yield* Effect.tryPromise({ try: () => load(nats, stream, subjectOf(ref, partitions)), catch: unavailable })
        const recorded: Array<Recorded> = []
        for (const entry of stored) {
          if (entry._tag === "Unreadable") return yield* new LogUnavailable({ message: `${entry.subject} cannot be read: ${entry.reason}` })
          recorded.push(entry)
        }
        return { recorded, revision: recorded.at(-1)?.revision ?? 0 } satisfies Stored
      }),
      append,
      watch: (ref, after) => watch(nats, streamOf(ref, partitions).name, subjectOf(ref, partitions), after),
      streams,
      follow: (stream, after) => follow(nats, stream, after),
      head: (stream) =>
        Effect.map(Effect.tryPromise({ try: () => nats.jsm.streams.info(stream), catch: unavailable }), ({ state }) => state.last_seq)
    })
  }))

const toEntry = (stream: string, message: StoredMsg): LogEntry =>
  decode(message.subject, { stream, sequence: message.seq }, message.string())

const revisionOf = (subject: string): number => Number(subject.slice(subject.lastIndexOf(".") + 1))

/** The server answers at most 1,024 subjects at once. */
const page = 1000

const load = async (nats: Nats, stream: string, subject: string): Promise<ReadonlyArray<LogEntry>> => {
  try {
    return await collect(nats, stream, [`${subject}.*`])
  } catch (error) {
    if ((error as { code?: number }).code !== 413) throw error
  }
  const last = await nats.jsm.direct.getMessage(stream, { last_by_subj: `${subject}.*` })
  const entries: Array<LogEntry> = []
  for (let from = 1; last !== null && from <= revisionOf(last.subject); from += page) {
    const length = Math.min(page, revisionOf(last.subject) - from + 1)
    entries.push(...await collect(nats, stream, Array.from({ length }, (_, index) => `${subject}.${from + index}`)))
  }
  return entries
}

const collect = async (nats: Nats, stream: string, subjects: Array<string>): Promise<ReadonlyArray<LogEntry>> => {
  const entries: Array<LogEntry> = []
  for await (const message of await nats.jsm.direct.getLastMessagesFor(stream, { multi_last: subjects })) {
    entries.push(toEntry(stream, message))
  }
  return entries
}

/**
 * Live messages only wake us up; what is yielded is read from the stream, revision by revision. So nothing that the
 * network drops, repeats or reorders can make a gap.
 */
const watch = (nats: Nats, stream: string, subject: string, after: number): Stream.Stream<Recorded, LogUnavailable> =>
  Stream.unwrap(Effect.gen(function*() {
    const wake = yield* Queue.sliding<true>(1)
    yield* Effect.acquireRelease(
      Effect.sync(() => nats.nc.subscribe(`${livePrefix}.${subject}.*`, { callback: () => void Queue.offerUnsafe(wake, true) })),
      (live) => Effect.sync(() => live.unsubscribe())
    )
    let next = after + 1
    const read = Effect.tryPromise({
      try: () => nats.jsm.direct.getMessage(stream, { last_by_subj: `${subject}.${next}` }),
      catch: unavailable
    })
    const take = Effect.gen(function*() {
      for (;;) {
        const message = yield* read
        if (message === null) {
          // A wake-up lost with a connection is made good by the time-out.
          yield* Queue.take(wake).pipe(Effect.timeoutOption(wakeEvery))
          continue
        }
        next += 1
        const entry = toEntry(stream, message)
        if (entry._tag === "Recorded") return entry
      }
    })
    return Stream.fromEffectRepeat(take)
  }))

const wakeEvery = "5 seconds"

const follow = (nats: Nats, stream: string, after: number): Stream.Stream<LogEntry, LogUnavailable> =>
  Stream.unwrap(Effect.gen(function*() {
    const [, messages] = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const consumer = await nats.js.consumers.get(stream, { deliver_policy: "by_start_sequence", opt_start_seq: after + 1, inactive_threshold: 60_000 })
          return [consumer, await consumer.consume({ max_messages: 1000 })] as const
        },
        catch: unavailable
      }),
      ([consumer, messages]) => Effect.promise(async () => {
        await messages.close()
        await consumer.delete().catch(() => false)
      })
    )
    return Stream.fromAsyncIterable(messages, unavailable).pipe(
      Stream.map((message) => decode(message.subject, { stream, sequence: message.seq }, message.string()))
    )
  }))
