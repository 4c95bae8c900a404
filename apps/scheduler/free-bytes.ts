/** Gives an account back what its removed images took up: as much as was counted of them, and once. */
import { Clock, Effect } from "effect"
import { v7 } from "uuid"
import { FreeBytes } from "../../domain/account.ts"
import { type ComposeId, Millis, type TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { accountRef, type LogEntry } from "../../domain/recorded.ts"
import { Accounts } from "../accounts.ts"
import { readCompose } from "../read-compose.ts"

export const freesBytes = (entry: LogEntry): boolean =>
  entry._tag === "Recorded" && entry.aggregate === "compose" && entry.events.some((event) => event._tag === "CopyRemoved" && (event.bytes ?? 0) > 0)

/** By what account and compose say of each other, so that to be told twice changes nothing. Not all that is stored was ever counted. */
export const freeBytes = Effect.fn("freeBytes")(function*(tenantId: TenantId, composeId: ComposeId) {
  const { recorded: entries } = yield* (yield* EventLog).read(accountRef(tenantId))
  const { recorded } = yield* readCompose(tenantId, composeId)
  const account = entries.flatMap(({ events }) => events)
  const counted = sum(account.flatMap((event) => event._tag === "QuotaSettled" ? event.composes.filter((each) => each.composeId === composeId) : []))
  const freed = sum(account.flatMap((event) => event._tag === "BytesFreed" && event.composeId === composeId ? [event] : []))
  const removed = sum(recorded.flatMap(({ events }) => events).flatMap((event) => event._tag === "CopyRemoved" ? [event] : []))
  const bytes = Math.min(counted, removed) - freed
  if (bytes <= 0) return
  const at = Millis.make(yield* Clock.currentTimeMillis)
  yield* (yield* Accounts).execute({ tenantId, messageId: v7(), at, actor: { kind: "system", id: "scheduler" } }, FreeBytes.make({ bytes, composeId }))
})

const sum = (all: ReadonlyArray<{ readonly bytes?: number }>): number => all.reduce((total, { bytes = 0 }) => total + bytes, 0)
