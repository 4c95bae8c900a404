/** What one run knows and has: gone when it ends, and made anew from what is stored. */
import { Effect, Semaphore } from "effect"
import { FactsMemory } from "../../domain/facts-memory.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { WaitingDelivery } from "../../domain/ports/webhook-deliveries.ts"
import { WebhookDeliveries } from "../../domain/ports/webhook-deliveries.ts"
import { webhooksRef } from "../../domain/recorded.ts"
import type { RetryPolicy } from "../../domain/webhook-retry.ts"
import { Directory } from "./directory.ts"
import { bodyKey, type Dispatcher, makeDispatcher } from "./dispatcher.ts"
import type { Draft } from "./planning.ts"

export interface Desk {
  readonly deployment: string
  readonly retries: RetryPolicy
  readonly directory: Directory
  readonly facts: FactsMemory
  readonly dispatcher: Dispatcher
  /** Plans are made and stored one after the other, so that ids grow with the order in which things are seen. */
  readonly planning: Semaphore.Semaphore
  /** How far streams have been taken in, for those who were watched. */
  readonly positions: Map<string, number>
  /** And how far that is stored, since when. */
  readonly stored: Map<string, { readonly position: number; readonly at: number }>
  /** Streams that nothing can be added to, and of which all is taken in. */
  readonly finished: Set<string>
  /** Somebody has asked for a replay. */
  readonly replayAsked: () => void
}

export const openDesk = Effect.fnUntraced(function*(deployment: string, retries: RetryPolicy, replayAsked: () => void) {
  const deliveries = yield* WebhookDeliveries
  const log = yield* EventLog
  const directory = new Directory()
  yield* Effect.forEach(yield* deliveries.tenants, Effect.fnUntraced(function*(tenantId) {
    for (const recorded of (yield* log.read(webhooksRef(tenantId))).recorded) directory.take(recorded)
  }), { concurrency: 16, discard: true })
  const dispatcher = yield* makeDispatcher(directory, retries)
  const stored = yield* deliveries.positions
  const desk: Desk = {
    deployment, retries, directory, dispatcher, replayAsked,
    facts: new FactsMemory(),
    planning: Semaphore.makeUnsafe(1),
    positions: new Map(stored),
    stored: new Map(Array.from(stored, ([stream, position]) => [stream, { position, at: 0 }])),
    finished: new Set()
  }
  return desk
})

/** What was left waiting goes on. */
export const resumeAll = Effect.fnUntraced(function*({ dispatcher }: Desk) {
  const deliveries = yield* WebhookDeliveries
  const failing = yield* deliveries.failing
  for (const webhookId of new Set([...failing.keys(), ...yield* deliveries.awaited])) dispatcher.resume(webhookId, failing.get(webhookId))
})

export const storedOf = ({ stored }: Desk, stream: string) => stored.get(stream) ?? { position: 0, at: 0 }

/** What is planned, together with how far the stream has been taken in with it. */
export const store = Effect.fnUntraced(function*(desk: Desk, stream: string, upTo: number, draft: Draft) {
  const waiting = yield* (yield* WebhookDeliveries).take(stream, storedOf(desk, stream).position, upTo, draft)
  desk.stored.set(stream, { position: upTo, at: draft.now })
  handOver(desk, draft, waiting)
})

/** What is stored now is sent; `waiting`: the deliveries that were planned with it. */
export const handOver = (
  { dispatcher, replayAsked }: Desk, { changed, disabled, occurrences, removed, replays }: Draft, waiting: ReadonlyArray<WaitingDelivery>
): void => {
  for (const { body, id, tenantId } of occurrences) dispatcher.bodies.set(bodyKey(tenantId, id), body)
  changed.forEach(dispatcher.forgetKeys)
  for (const webhookId of [...disabled, ...removed]) dispatcher.drop(webhookId)
  dispatcher.add(waiting)
  if (replays.length > 0) replayAsked()
}
