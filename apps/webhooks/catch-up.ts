/** Whom a webhook that begins makes hear of things: what other streams have of its tenant from then on may have been passed over. */
import { Effect, Option, Stream } from "effect"
import { FactsMemory } from "../../domain/facts-memory.ts"
import { isOfPeriod } from "../../domain/periods.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { Recorded } from "../../domain/recorded.ts"
import { type Desk, store, storedOf } from "./desk.ts"
import { beginningIn } from "./directory.ts"
import { Draft, isAbout, tell } from "./planning.ts"
import { wantedOf, type Watched } from "./watched.ts"

const batchSize = 500
/** Clocks of those who decide and of those who store may differ by as much. */
const leewayMs = 60_000

/**
 * Before the decision itself is taken in, so that a process which dies meanwhile does all of it again. Where nobody who was
 * watched has anything before it, a stream goes on from there, however long it was not read.
 */
export const catchUp = Effect.fnUntraced(function*(desk: Desk, watched: Watched, recorded: Recorded<"webhooks">) {
  if (beginningIn(recorded).length === 0) return
  const log = yield* EventLog
  const since = Math.max(recorded.at - leewayMs, Date.now() - desk.retries.forMs)
  const isNew = watched !== "everybody" && !watched.has(recorded.tenantId)
  for (const stream of log.streams.filter(isOfPeriod)) {
    const [after, upTo] = [yield* log.before(stream, since), desk.positions.get(stream) ?? 0]
    if (after < upTo) yield* tellAgain(desk, recorded, stream, after, upTo)
    else if (isNew && after > upTo && Option.isNone(yield* Stream.runHead(log.scan(stream, { after: upTo, upTo: after, only: wantedOf(watched) })))) {
      yield* store(desk, stream, after, new Draft(desk.deployment))
      desk.positions.set(stream, after)
    }
  }
})

const tellAgain = Effect.fnUntraced(function*(desk: Desk, recorded: Recorded<"webhooks">, stream: string, after: number, upTo: number) {
  const { position, tenantId } = recorded
  const again = { facts: new FactsMemory(), only: beginningIn(recorded) }
  const log = yield* EventLog
  yield* log.scan(stream, { after, upTo, only: [{ aggregate: "compose", tenantId }] }).pipe(
    Stream.grouped(batchSize),
    Stream.runForEach(Effect.fnUntraced(function*(entries) {
      const draft = new Draft(desk.deployment)
      for (const entry of entries) if (isAbout(entry)) yield* tell(desk, draft, entry, again)
      if (draft.deliveries.length === 0) return
      draft.tenants.push(tenantId)
      yield* store(desk, position.stream, storedOf(desk, position.stream).position, draft)
    })))
})
