import { Effect, Queue, Stream } from "effect"
import type { LogUnavailable } from "../../domain/ports/event-log.ts"
import type { AggregateKind, AggregateRef, LogEntry, Recorded } from "../../domain/recorded.ts"
import type { Catalogue } from "./catalogue.ts"
import type { EndedStreams } from "./ended-stream.ts"
import { unavailable } from "./follow-stream.ts"
import type { Nats } from "./nats.ts"
import { type Load, revisionIn, toEntry } from "./read-stream.ts"
import { type EventStream, livePrefix, streamOf, subjectIn } from "./streams.ts"

interface Log {
  readonly nats: Nats
  readonly catalogue: Catalogue
  readonly ended: EndedStreams
  readonly load: Load
  readonly replicas: number
  readonly partitions: number
}

/** A wake-up lost with a connection is made good by the time-out. */
const wakeEvery = "5 seconds"

/**
 * Live messages only wake us up; what is yielded is read from the stream, revision by revision. So nothing that the
 * network drops, repeats or reorders can make a gap.
 */
export const watchAggregate = <Kind extends AggregateKind>(log: Log, ref: AggregateRef<Kind>, after: number): Stream.Stream<Recorded<Kind>, LogUnavailable> =>
  Stream.unwrap(Effect.gen(function*() {
    const wake = yield* Queue.sliding<true>(1)
    const wakeUp = () => void Queue.offerUnsafe(wake, true)
    const [rest, home] = [streamOf(ref, log.partitions), streamOf(ref, log.partitions, log.catalogue.periodOf(ref))]
    const streams = rest.name === home.name ? [rest] : [home, rest]
    yield* Effect.acquireRelease(
      Effect.sync(() => [
        ...streams.map((stream) => log.nats.nc.subscribe(`${livePrefix}.${subjectIn(stream, ref)}.*`, { callback: wakeUp })),
        { unsubscribe: log.catalogue.listen(wakeUp) }
      ]),
      (listeners) => Effect.sync(() => listeners.forEach((each) => each.unsubscribe()))
    )
    let next = after + 1
    const entryAt = makeEntryAt(log, ref, home, rest)
    const take = Effect.gen(function*() {
      for (;;) {
        const entry = yield* Effect.tryPromise({ try: () => entryAt(next), catch: unavailable })
        if (entry === undefined) {
          yield* Queue.take(wake).pipe(Effect.timeoutOption(wakeEvery))
          continue
        }
        next += 1
        if (entry._tag === "Recorded") return entry as Recorded<Kind>
      }
    })
    return Stream.fromEffectRepeat(take)
  }))

/** The entry of a revision, wherever it lies; nothing while it is not there. */
const makeEntryAt = ({ catalogue, ended, load, nats, replicas }: Log, ref: AggregateRef, home: EventStream, rest: EventStream) => {
  let known: ReadonlyArray<LogEntry> | undefined
  const at = async (stream: EventStream, revision: number) => {
    const message = await (replicas === 1 ? nats.jsm.direct : nats.jsm.streams).getMessage(stream.name, { last_by_subj: `${subjectIn(stream, ref)}.${revision}` })
    return message === null ? undefined : toEntry(stream.name, message)
  }
  return async (revision: number): Promise<LogEntry | undefined> => {
    if (home.name === rest.name) return at(rest, revision)
    const record = catalogue.get(home.name) ?? await catalogue.ask(home.name)
    if (record === undefined) return undefined
    if (record.state === "open") return at(home, revision)
    known ??= await ended.load(nats, load, record, ref)
    return known.find((entry) => revisionIn(entry) === revision) ?? at(rest, revision)
  }
}
