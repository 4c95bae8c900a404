/** The log in memory: the same contract as on JetStream, for tests and simulations. */
import { Clock, Effect, Layer, PubSub, Stream } from "effect"
import { EventLog, type Wanted, WrongRevision } from "../../domain/ports/event-log.ts"
import type { AggregateKind, AggregateRef, Decision, LogEntry, Position, Recorded } from "../../domain/recorded.ts"

const stream = "EVENTS"
const keyOf = (ref: AggregateRef) => `${ref.tenantId}/${ref.aggregate}/${ref.id}`

const wants = (only: AggregateKind | ReadonlyArray<Wanted> | undefined, { aggregate, tenantId }: Recorded): boolean =>
  only === undefined || (typeof only === "string" ? only === aggregate
    : only.some((each) => each.aggregate === aggregate && (each.tenantId === undefined || each.tenantId === tenantId)))

export const EventLogInMemory = Layer.effect(EventLog, Effect.gen(function*() {
  const entries: Array<Recorded> = []
  const storedAt: Array<number> = []
  const aggregates = new Map<string, Array<Recorded>>()
  const positions = new Map<string, Position>()
  const appended = yield* PubSub.unbounded<true>()

  /** Reads from the array and waits for the next append when it has come to the end. */
  const tail = <Entry>(from: () => Entry | undefined) =>
    Stream.unwrap(Effect.gen(function*() {
      const wake = yield* PubSub.subscribe(appended)
      return Stream.fromEffectRepeat(Effect.gen(function*() {
        for (;;) {
          const entry = from()
          if (entry !== undefined) return entry
          yield* PubSub.take(wake)
        }
      }))
    }))

  return EventLog.of({
    read: <Kind extends AggregateKind>(ref: AggregateRef<Kind>, after = 0) =>
      Effect.sync(() => {
        const recorded = (aggregates.get(keyOf(ref)) ?? []).slice(after) as Array<Recorded<Kind>>
        return { recorded, revision: after + recorded.length }
      }),
    append: Effect.fnUntraced(function*(ref: AggregateRef, after: number, decision: Decision) {
      const now = yield* Clock.currentTimeMillis
      const message = `${keyOf(ref)}/${decision.messageId}`
      const known = positions.get(message)
      if (known !== undefined) return known
      const recorded = aggregates.get(keyOf(ref)) ?? []
      if (recorded.length !== after) {
        return yield* new WrongRevision({ aggregate: ref.aggregate, id: ref.id, after })
      }
      const position = { stream, sequence: entries.length + 1 }
      const entry = { _tag: "Recorded", ...ref, ...decision, position, revision: after + 1 } as Recorded
      entries.push(entry)
      storedAt.push(now)
      aggregates.set(keyOf(ref), [...recorded, entry])
      positions.set(message, position)
      yield* PubSub.publish(appended, true)
      return position
    }),
    watch: <Kind extends AggregateKind>(ref: AggregateRef<Kind>, after: number) => {
      let revision = after
      return tail(() => {
        const entry = aggregates.get(keyOf(ref))?.[revision] as Recorded<Kind> | undefined
        if (entry !== undefined) revision += 1
        return entry
      })
    },
    streams: [stream],
    streamsAsTheyCome: Stream.concat(Stream.make(stream), Stream.never),
    isSealed: () => false,
    follow: (_, after, only): Stream.Stream<LogEntry> => {
      let sequence = after
      return tail(() => {
        while (sequence < entries.length) {
          const entry = entries[sequence++]!
          if (wants(only, entry)) return entry
        }
        return undefined
      })
    },
    scan: (_, { after, only, tenantId, upTo }) =>
      Stream.suspend(() => Stream.fromIterable(entries.slice(after, upTo).filter((entry) => tenantId === undefined ? wants(only, entry) : entry.tenantId === tenantId))),
    head: () => Effect.sync(() => entries.length),
    before: (_, at) => Effect.sync(() => storedAt.findLastIndex((each) => each < at) + 1)
  })
}))
