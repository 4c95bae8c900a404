/** The log on JetStream. The version is the subject's last token on a write-once stream, so the server settles every race. */
import type { JsMsg, StoredMsg } from "@nats-io/jetstream"
import { Effect, Layer, Queue, Stream } from "effect"
import { EventLog, LogUnavailable, type Stored, WrongRevision } from "../../domain/ports/event-log.ts"
import type { AggregateKind, AggregateRef, Decision, LogEntry, Recorded } from "../../domain/recorded.ts"
import { Appender } from "./appender.ts"
import { decode, encode } from "./envelope.ts"
import { attentive, CoreNats, type Nats } from "./nats.ts"
import { fromLeader, newestRevision, revisionOf } from "./newest.ts"
import { rereading } from "./resending.ts"
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
    const prefixes = new Map(Array.from({ length: partitions }, (_, index) => eventStream(index, partitions)).map(({ name, prefix }) => [name, prefix]))
    const streams = [...prefixes.keys()]
    const appenders = new Map(streams.map((stream) => [stream, new Appender(nats, stream)]))

    const reread = rereading(nats.nc)
    const loadNewest = replicas === 1 ? load : loadWithLeader

    const append = Effect.fnUntraced(function*(ref: AggregateRef, after: number, decision: Decision) {
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

    const read = Effect.fnUntraced(function*<Kind extends AggregateKind>(ref: AggregateRef<Kind>, after = 0) {
      const stream = streamOf(ref, partitions).name
      const subject = subjectOf(ref, partitions)
      const stored = yield* Effect.tryPromise({ try: () => reread(() => loadNewest(nats, stream, subject, after)), catch: unavailable })
      const recorded: Array<Recorded<Kind>> = []
      for (const entry of stored) {
        if (entry._tag === "Unreadable") return yield* new LogUnavailable({ message: `${entry.subject} cannot be read: ${entry.reason}` })
        recorded.push(entry as Recorded<Kind>)
      }
      return { recorded, revision: recorded.at(-1)?.revision ?? after } satisfies Stored<Kind>
    })

    return EventLog.of({
      read,
      append,
      watch: (ref, after) => watch(nats, replicas, streamOf(ref, partitions).name, subjectOf(ref, partitions), after),
      streams,
      follow: (stream, after, only) => follow(nats, stream, after, only && `${prefixes.get(stream)}.*.${only}.>`),
      scan: (stream, { after, tenantId, upTo }) =>
        scan(nats, stream, after, upTo, tenantId === undefined ? undefined : `${prefixes.get(stream)}.${tenantId}.>`),
      head: (stream) =>
        Effect.map(Effect.tryPromise({ try: () => nats.jsm.streams.info(stream), catch: unavailable }), ({ state }) => state.last_seq)
    })
  }))

const toEntry = (stream: string, message: StoredMsg): LogEntry =>
  decode(message.subject, { stream, sequence: message.seq }, message.string())

/** The server answers at most 1,024 subjects at once. */
const page = 1000

const load = async (nats: Nats, stream: string, subject: string, after: number): Promise<ReadonlyArray<LogEntry>> => {
  try {
    if (after === 0) return await collect(nats, stream, [`${subject}.*`])
  } catch (error) {
    if ((error as { code?: number }).code !== 413) throw error
  }
  const last = await nats.jsm.direct.getMessage(stream, { last_by_subj: `${subject}.*` })
  const entries: Array<LogEntry> = []
  for (let from = after + 1; last !== null && from <= revisionOf(last.subject); from += page) {
    const length = Math.min(page, revisionOf(last.subject) - from + 1)
    entries.push(...await collect(nats, stream, Array.from({ length }, (_, index) => `${subject}.${from + index}`)))
  }
  return entries
}

/** Any server of a cluster answers the read itself; the leader says how far it should have come. */
const loadWithLeader: typeof load = async (nats, stream, subject, after) => {
  const [entries, newest] = await Promise.all([load(nats, stream, subject, after), newestRevision(nats, stream, subject)])
  const last = entries.at(-1)
  const known = last === undefined ? after : last._tag === "Recorded" ? last.revision : revisionOf(last.subject)
  if (known >= newest) return entries
  return [...entries, ...(await fromLeader(nats, stream, subject, known + 1, newest)).map((message) => toEntry(stream, message))]
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
const watch = <Kind extends AggregateKind>(
  nats: Nats, copies: number, stream: string, subject: string, after: number
): Stream.Stream<Recorded<Kind>, LogUnavailable> =>
  Stream.unwrap(Effect.gen(function*() {
    const wake = yield* Queue.sliding<true>(1)
    yield* Effect.acquireRelease(
      Effect.sync(() => nats.nc.subscribe(`${livePrefix}.${subject}.*`, { callback: () => void Queue.offerUnsafe(wake, true) })),
      (live) => Effect.sync(() => live.unsubscribe())
    )
    let next = after + 1
    const read = Effect.tryPromise({
      try: () => (copies === 1 ? nats.jsm.direct : nats.jsm.streams).getMessage(stream, { last_by_subj: `${subject}.${next}` }),
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
        if (entry._tag === "Recorded") return entry as Recorded<Kind>
      }
    })
    return Stream.fromEffectRepeat(take)
  }))

const wakeEvery = "5 seconds"

const follow = (nats: Nats, stream: string, after: number, filter?: string): Stream.Stream<LogEntry, LogUnavailable> =>
  Stream.unwrap(Effect.map(consume(nats, stream, after, filter), ({ messages }) =>
    Stream.fromAsyncIterable(messages, unavailable).pipe(Stream.map((message) => entryOf(stream, message)))))

/** What a filter leaves out is not delivered: the last message that it lets through says that none follows. */
const scan = (nats: Nats, stream: string, after: number, upTo: number, filter?: string): Stream.Stream<LogEntry, LogUnavailable> =>
  after >= upTo ? Stream.empty : Stream.unwrap(Effect.gen(function*() {
    const { messages, pending } = yield* consume(nats, stream, after, filter)
    if (pending === 0) return Stream.empty
    return Stream.flattenIterable(Stream.fromAsyncIterable(handfuls(stream, messages, upTo), unavailable))
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
}

const entryOf = (stream: string, message: JsMsg): LogEntry => decode(message.subject, { stream, sequence: message.seq }, message.string())

const consume = (nats: Nats, stream: string, after: number, filter?: string) =>
  Effect.gen(function*() {
    const [, messages, pending] = yield* Effect.acquireRelease(
      Effect.tryPromise({
        try: async () => {
          const consumer = await nats.js.consumers.get(stream, {
            deliver_policy: "by_start_sequence", opt_start_seq: after + 1, inactive_threshold: 60_000,
            ...(filter !== undefined && { filter_subjects: filter })
          })
          const { num_pending } = await consumer.info()
          return [consumer, await consumer.consume({ max_messages: 1000, ...attentive }), num_pending] as const
        },
        catch: unavailable
      }),
      ([consumer, messages]) => Effect.promise(async () => {
        await messages.close()
        await consumer.delete().catch(() => false)
      })
    )
    return { messages, pending }
  })
