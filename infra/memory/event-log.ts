/** The log in memory: the same contract as on JetStream, for tests and simulations. */
import { Effect, Layer, PubSub, Stream } from "effect"
import { EventLog, WrongRevision } from "../../domain/ports/event-log.ts"
import type { AggregateRef, LogEntry, Position, Recorded } from "../../domain/recorded.ts"

const stream = "EVENTS"
const keyOf = (ref: AggregateRef) => `${ref.tenantId}/${ref.aggregate}/${ref.id}`

export const EventLogInMemory = Layer.effect(EventLog, Effect.gen(function*() {
  const entries: Array<Recorded> = []
  const aggregates = new Map<string, Array<Recorded>>()
  const positions = new Map<string, Position>()
  const appended = yield* PubSub.unbounded<true>()

  /** Reads from the array and waits for the next append when it has come to the end. */
  const tail = (from: () => Recorded | undefined) =>
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
    read: (ref) =>
      Effect.sync(() => {
        const recorded = [...aggregates.get(keyOf(ref)) ?? []]
        return { recorded, revision: recorded.length }
      }),
    append: Effect.fnUntraced(function*(ref, after, decision) {
      const message = `${keyOf(ref)}/${decision.messageId}`
      const known = positions.get(message)
      if (known !== undefined) return known
      const recorded = aggregates.get(keyOf(ref)) ?? []
      if (recorded.length !== after) {
        return yield* new WrongRevision({ aggregate: ref.aggregate, id: ref.id, after })
      }
      const position = { stream, sequence: entries.length + 1 }
      const entry: Recorded = { _tag: "Recorded", ...ref, ...decision, position, revision: after + 1 }
      entries.push(entry)
      aggregates.set(keyOf(ref), [...recorded, entry])
      positions.set(message, position)
      yield* PubSub.publish(appended, true)
      return position
    }),
    watch: (ref, after) => {
      let revision = after
      return tail(() => {
        const entry = aggregates.get(keyOf(ref))?.[revision]
        if (entry !== undefined) revision += 1
        return entry
      })
    },
    streams: [stream],
    follow: (_, after): Stream.Stream<LogEntry> => {
      let sequence = after
      return tail(() => {
        const entry = entries[sequence]
        if (entry !== undefined) sequence += 1
        return entry
      })
    },
    head: () => Effect.sync(() => entries.length)
  })
}))
