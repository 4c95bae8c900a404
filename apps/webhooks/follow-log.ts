/** Takes the log in, stream by stream: what is to be sent is stored together with the position after it. */
import { Effect, Metric, Schedule, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { WebhookDeliveries } from "../../domain/ports/webhook-deliveries.ts"
import type { LogEntry, Recorded } from "../../domain/recorded.ts"
import type { WebhookId } from "../../domain/webhook-settings.ts"
import { type Desk, handOver } from "./desk.ts"
import { position } from "./metrics.ts"
import { Draft, hearersOf, isAbout, occurrencesIn, takeOrders } from "./planning.ts"

const batchSize = 500
const batchWithin = "5 millis"
/** A position that nothing came with may be written later: what comes after it is read again at a restart. */
const writeEvery = 1000

export const followStream = Effect.fnUntraced(function*(desk: Desk, stream: string) {
  const log = yield* EventLog
  const deliveries = yield* WebhookDeliveries
  const state = { stored: desk.positions.get(stream) ?? 0, writtenAt: 0 }
  desk.positions.set(stream, state.stored)
  yield* log.follow(stream, state.stored).pipe(
    Stream.groupedWithin(batchSize, batchWithin),
    Stream.runForEach(Effect.fnUntraced(function*(entries) {
      yield* sealedFirst(desk, stream)
      yield* desk.planning.withPermits(1)(Effect.gen(function*() {
        const upTo = entries.at(-1)!.position.sequence
        const draft = yield* draftOf(desk, entries)
        if (!draft.isEmpty || Date.now() - state.writtenAt > writeEvery) {
          const waiting = yield* deliveries.take(stream, state.stored, upTo, draft)
          Object.assign(state, { stored: upTo, writtenAt: Date.now() })
          handOver(desk, draft, waiting)
        }
        desk.positions.set(stream, upTo)
        yield* Metric.update(Metric.withAttributes(position, { stream }), upTo)
      }))
    }))
  )
})

/** What aggregates of a sealed stream decide later lies in one that never ends: not before the sealed one is taken in. */
const sealedFirst = Effect.fnUntraced(function*(desk: Desk, stream: string) {
  const log = yield* EventLog
  if (log.isSealed(stream)) return
  for (const sealed of log.streams.filter((each) => log.isSealed(each) && !desk.finished.has(each))) {
    yield* log.head(sealed).pipe(
      Effect.map((head) => (desk.positions.get(sealed) ?? 0) >= head),
      Effect.repeat({ until: (done) => done, schedule: Schedule.spaced("50 millis") }))
    desk.finished.add(sealed)
  }
})

const draftOf = Effect.fnUntraced(function*(desk: Desk, entries: ReadonlyArray<LogEntry>) {
  const draft = new Draft(desk.deployment)
  for (const entry of entries) {
    if (!isAbout(entry)) continue
    if (entry.aggregate === "webhooks") yield* takeWebhooks(desk, draft, entry)
    else yield* tell(desk, draft, entry)
  }
  return draft
})

const takeWebhooks = Effect.fnUntraced(function*(desk: Desk, draft: Draft, recorded: Recorded<"webhooks">) {
  const beginning = desk.directory.take(recorded)
  takeOrders(draft, recorded)
  yield* tell(desk, draft, recorded)
  // Streams are followed side by side, so what comes after a webhook in time may have been seen before it.
  for (const earlier of desk.recent.filter(({ position, tenantId }) => tenantId === recorded.tenantId && position.stream !== recorded.position.stream)) {
    yield* tell(desk, draft, earlier, beginning)
  }
})

/** What is too old to be tried at all is not tried. `only`: webhooks that did not hear of it when it was seen. */
const tell = Effect.fnUntraced(function*(desk: Desk, draft: Draft, recorded: Recorded, only?: ReadonlyArray<WebhookId>) {
  if (only === undefined) remember(desk, recorded)
  if (!desk.directory.has(recorded.tenantId) || draft.now - recorded.at >= desk.retries.forMs) return
  for (const occurrence of yield* occurrencesIn(only === undefined ? desk.facts : desk.lateFacts, recorded)) {
    const hearers = hearersOf(desk.directory, recorded, occurrence)
    draft.add(recorded.tenantId, occurrence, only === undefined ? hearers : hearers.filter((each) => only.includes(each)))
  }
})

const remembered = { entries: 20_000, forMs: 30_000 }

const remember = ({ recent }: Desk, recorded: Recorded): void => {
  recent.push(recorded)
  const since = Date.now() - remembered.forMs
  const stale = recent.findIndex(({ at }) => at >= since)
  const surplus = Math.max(stale === -1 ? recent.length - 1 : stale, recent.length - remembered.entries)
  // Taken off in handfuls: each time costs as much as all that stays.
  if (surplus > 1000) recent.splice(0, surplus)
}
