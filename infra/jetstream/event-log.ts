/** The log on JetStream. The version is the subject's last token on a write-once stream, so the server settles every race. */
import { Effect, Layer, Stream } from "effect"
import { EventLog, LogUnavailable, type Stored, type Wanted, WrongRevision } from "../../domain/ports/event-log.ts"
import { type Period, type PeriodLength, periodAt } from "../../domain/periods.ts"
import type { AggregateKind, AggregateRef, Decision, LogEntry, Recorded } from "../../domain/recorded.ts"
import { Appender } from "./appender.ts"
import { openCatalogue } from "./catalogue.ts"
import { EndedStreams } from "./ended-stream.ts"
import { encode } from "./envelope.ts"
import { followStream, scanStream, unavailable } from "./follow-stream.ts"
import { CoreNats } from "./nats.ts"
import { lastBefore, loaderFor, revisionIn } from "./read-stream.ts"
import { rereading } from "./resending.ts"
import { ensureEventStreams, eventStream, type EventStream, streamOf, subjectIn } from "./streams.ts"
import { beginningsOf } from "./wanted.ts"
import { watchAggregate } from "./watch-aggregate.ts"

export interface EventLogConfig {
  /** Fixed when the log is first made. */
  readonly partitions: number
  readonly replicas: number
  /** For a log that has no periods yet; without it, it gets none. */
  readonly period?: PeriodLength | undefined
  /** Where periods that are over are read: see `placeAt`. */
  readonly archive?: string | undefined
}

export const EventLogJetStream = ({ archive, partitions, period, replicas }: EventLogConfig) =>
  Layer.effect(EventLog, Effect.gen(function*() {
    const nats = yield* CoreNats
    yield* ensureEventStreams(nats.jsm, { partitions, replicas })
    const catalogue = yield* openCatalogue(nats, { partitions, replicas, period })
    yield* catalogue.prepare(Date.now())
    const ended = new EndedStreams(catalogue, archive)
    const appenders = new Map<string, Appender>()
    const reread = rereading(nats.nc)
    const load = loaderFor(replicas)
    const lasting = new Map(Array.from({ length: partitions }, (_, index) => eventStream(index, partitions)).map((stream) => [stream.name, stream]))
    const prefixOf = (stream: string) => lasting.get(stream)?.prefix ?? catalogue.get(stream)?.prefix
    const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

    const appendTo = Effect.fnUntraced(function*({ name, prefix }: EventStream, ref: AggregateRef, after: number, decision: Decision) {
      let appender = appenders.get(name)
      if (appender === undefined) appenders.set(name, appender = new Appender(nats, name))
      const msgID = `${ref.tenantId}/${ref.aggregate}/${ref.id}/${decision.messageId}`
      const subject = `${subjectIn({ name, prefix }, ref)}.${after + 1}`
      const sequence = yield* attempt(() => appender.append(subject, encode(ref, after + 1, decision), msgID))
      if (sequence === undefined) return yield* new WrongRevision({ aggregate: ref.aggregate, id: ref.id, after })
      return { stream: name, sequence }
    })

    const append = (ref: AggregateRef, after: number, decision: Decision) => {
      const period = catalogue.periodOf(ref)
      return period === undefined ? appendTo(streamOf(ref, partitions), ref, after, decision) : appendInPeriod(period, ref, after, decision)
    }

    const appendInPeriod = Effect.fnUntraced(function*(period: Period, ref: AggregateRef, after: number, decision: Decision) {
      const home = streamOf(ref, partitions, period)
      if (catalogue.get(home.name) === undefined) yield* makeLate(period)
      const stored = catalogue.isSealed(home.name) ? undefined : yield* appendTo(home, ref, after, decision).pipe(
        Effect.catchTag("LogUnavailable", (error) =>
          Effect.flatMap(attempt(() => catalogue.ask(home.name)), () => catalogue.isSealed(home.name) ? Effect.succeed(undefined) : Effect.fail(error))))
      if (stored !== undefined) return stored
      // Nothing can come in between any more: what is there of this aggregate is all that will ever be.
      const there = (yield* endedEntries(home, ref)).find((entry) => revisionIn(entry) === after + 1)
      if (there === undefined) return yield* appendTo(streamOf(ref, partitions), ref, after, decision)
      if (there._tag === "Recorded" && there.messageId === decision.messageId) return there.position
      return yield* new WrongRevision({ aggregate: ref.aggregate, id: ref.id, after })
    })

    /** As a rule a period's streams are made long before. */
    const makeLate = Effect.fnUntraced(function*(period: Period) {
      if (period.from > periodAt(catalogue.layout!.period, Date.now()).to) return yield* new LogUnavailable({ message: `the time of period ${period.name} has not come` })
      yield* catalogue.make(period)
    })

    const endedEntries = (home: EventStream, ref: AggregateRef) => attempt(() => ended.load(nats, load, catalogue.get(home.name)!, ref))

    /** Of a period that is over, and what was decided since. */
    const entriesOf = async (ref: AggregateRef, after: number): Promise<ReadonlyArray<LogEntry>> => {
      const [period, rest] = [catalogue.periodOf(ref), streamOf(ref, partitions)]
      if (period === undefined) return load(nats, rest.name, subjectIn(rest, ref), after)
      const home = streamOf(ref, partitions, period)
      let record = catalogue.get(home.name) ?? await catalogue.ask(home.name)
      if (record === undefined) return []
      if (record.state === "open") {
        try {
          return await load(nats, home.name, subjectIn(home, ref), after)
        } catch (error) {
          record = await catalogue.ask(home.name)
          if (record === undefined || record.state === "open") throw error
        }
      }
      const all = [...await ended.load(nats, load, record, ref), ...await load(nats, rest.name, subjectIn(rest, ref), 0)]
      return after === 0 ? all : all.filter((entry) => revisionIn(entry) > after)
    }

    const read = Effect.fnUntraced(function*<Kind extends AggregateKind>(ref: AggregateRef<Kind>, after = 0) {
      const stored = yield* attempt(() => reread(() => entriesOf(ref, after)))
      const recorded: Array<Recorded<Kind>> = []
      for (const entry of stored) {
        if (entry._tag === "Unreadable") return yield* new LogUnavailable({ message: `${entry.subject} cannot be read: ${entry.reason}` })
        recorded.push(entry as Recorded<Kind>)
      }
      return { recorded, revision: recorded.at(-1)?.revision ?? after } satisfies Stored<Kind>
    })

    const wantedIn = (stream: string, only: AggregateKind | ReadonlyArray<Wanted> | undefined) => beginningsOf(`${prefixOf(stream)}`, !lasting.has(stream), only)

    const follow: EventLog["Service"]["follow"] = (stream, after, only) => {
      const beginnings = wantedIn(stream, only)
      if (beginnings?.length === 0) return Stream.never
      const live = followStream(nats, { stream, after, beginnings })
      return ended.withArchive({ stream, after, upTo: Infinity, beginnings, live })
    }

    const scan: EventLog["Service"]["scan"] = (stream, { after, only, tenantId, upTo }) => {
      const beginnings = tenantId === undefined ? wantedIn(stream, only) : [`${prefixOf(stream)}.${tenantId}.`]
      if (beginnings?.length === 0) return Stream.empty
      const live = scanStream(nats, { stream, after, upTo, beginnings })
      return lasting.has(stream) ? live : ended.withArchive({ stream, after, upTo, beginnings, live })
    }

    const head = (stream: string) => attempt(async () => {
      const known = catalogue.get(stream)?.last
      if (known !== undefined) return known
      try {
        return (await nats.jsm.streams.info(stream)).state.last_seq
      } catch (error) {
        const last = lasting.has(stream) ? undefined : (await catalogue.ask(stream))?.last
        if (last === undefined) throw error
        return last
      }
    })

    const before = (stream: string, at: number) => attempt(async () => {
      const { last = 0, sealedAt = Infinity } = catalogue.get(stream) ?? {}
      if (sealedAt < at) return last
      try {
        return catalogue.isArchived(stream) ? 0 : await lastBefore(nats, stream, at)
      } catch (error) {
        await catalogue.ask(stream)
        if (catalogue.isArchived(stream)) return 0
        throw error
      }
    })

    return EventLog.of({
      read, append, follow, scan, head, before,
      watch: (ref, after) => watchAggregate({ nats, catalogue, ended, load, replicas, partitions }, ref, after),
      streams: catalogue.streams,
      streamsAsTheyCome: catalogue.streamsAsTheyCome,
      isSealed: (stream) => catalogue.isSealed(stream)
    })
  }))
