/** Has what was told before told again: reads the log beside those who follow it, no faster than it is sent. */
import { Effect, Queue, Schedule, Stream } from "effect"
import { FactsMemory } from "../../domain/facts-memory.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type Replay, WebhookDeliveries } from "../../domain/ports/webhook-deliveries.ts"
import type { LogEntry } from "../../domain/recorded.ts"
import type { Occurrence } from "../../domain/occurrences.ts"
import { isWanted } from "../../domain/webhook-matches.ts"
import { occurrencesIn } from "../occurrences-in.ts"
import { type Desk, handOver } from "./desk.ts"
import { Draft, isAbout } from "./planning.ts"

const batchSize = 100

/** All that are asked for; `asked` hears of new ones. */
export const runReplays = Effect.fnUntraced(function*(desk: Desk, asked: Queue.Dequeue<true>) {
  const deliveries = yield* WebhookDeliveries
  for (;;) {
    const open = yield* deliveries.replays
    yield* Effect.forEach(open, (replay) => runReplay(desk, replay), { concurrency: 4, discard: true })
    if (open.length === 0) yield* Queue.take(asked)
  }
})

const runReplay = Effect.fnUntraced(function*(desk: Desk, replay: Replay) {
  const log = yield* EventLog
  const deliveries = yield* WebhookDeliveries
  const upTo = replay.upTo ?? (yield* headsOf(log.streams))
  if (replay.upTo === undefined) yield* deliveries.beginReplay(replay.id, upTo)
  const since = replay.since ?? (yield* timeOf(replay))
  const facts = new FactsMemory()
  for (const [stream, head] of Object.entries(upTo)) {
    const from = replay.after?.stream === stream ? replay.after.sequence : 0
    yield* log.scan(stream, { after: replay.at[stream] ?? from, upTo: head, tenantId: replay.tenantId }).pipe(
      Stream.grouped(batchSize),
      Stream.runForEach((entries) => takeAgain(desk, replay, replay.after?.stream === stream ? 0 : since, facts, entries)))
  }
  yield* deliveries.endReplay(replay.id)
})

const headsOf = Effect.fnUntraced(function*(streams: ReadonlyArray<string>) {
  const log = yield* EventLog
  return Object.fromEntries(yield* Effect.forEach(streams, (stream) => Effect.map(log.head(stream), (head) => [stream, head] as const)))
})

/** A place in one stream stands for a time in the others. */
const timeOf = Effect.fnUntraced(function*({ after }: Replay) {
  if (after === undefined || after.sequence < 1) return 0
  const log = yield* EventLog
  const found = yield* Stream.runCollect(log.scan(after.stream, { after: after.sequence - 1, upTo: after.sequence }))
  return [...found].find((entry) => entry._tag === "Recorded")?.at ?? 0
})

const takeAgain = Effect.fnUntraced(function*(desk: Desk, { id, tenantId, webhookId }: Replay, since: number, facts: FactsMemory, entries: ReadonlyArray<LogEntry>) {
  const deliveries = yield* WebhookDeliveries
  yield* roomFor(desk, webhookId)
  const draft = new Draft(desk.deployment)
  for (const entry of entries) {
    const webhook = desk.directory.get(tenantId, webhookId)
    if (!isAbout(entry) || entry.at < since || webhook === undefined || webhook.disabled !== undefined) continue
    for (const occurrence of (yield* occurrencesIn(facts, entry)) as ReadonlyArray<Occurrence>) {
      if (occurrence.only === undefined && isWanted(webhookId, webhook.settings, occurrence)) draft.add(tenantId, occurrence, [webhookId])
    }
  }
  const { sequence, stream } = entries.at(-1)!.position
  yield* desk.planning.withPermits(1)(Effect.map(deliveries.takeReplay(id, stream, sequence, draft), (waiting) => handOver(desk, draft, waiting)))
})

/** What lies ahead of what has not been sent helps nobody. */
const roomFor = ({ dispatcher }: Desk, webhookId: Parameters<Desk["dispatcher"]["waitingFor"]>[0]) =>
  Effect.sync(() => dispatcher.waitingFor(webhookId)).pipe(
    Effect.repeat({ until: (waiting) => waiting < batchSize, schedule: Schedule.spaced("200 millis") }))
