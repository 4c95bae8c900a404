import { Effect } from "effect"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { composeRef } from "../../domain/recorded.ts"
import { NotFound, Unavailable } from "./api/problems.ts"
import { stateOf } from "./compose-details.ts"

/** What had been decided by then. Clocks of processes differ a little, so the last decision of that time counts, and all before it. */
export const asOf = <R extends { readonly at: number }>(recorded: ReadonlyArray<R>, time: string | undefined): ReadonlyArray<R> =>
  time === undefined ? recorded : recorded.slice(0, recorded.findLastIndex(({ at }) => at <= Date.parse(time)) + 1)

/** The compose by its own events. Another tenant's is not there, like one that never was. */
export const findHistory = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId, time?: string) {
  const log = yield* EventLog
  const { recorded } = yield* log.read(composeRef(tenantId, id)).pipe(orUnavailable)
  const history = asOf(recorded, time)
  const state = stateOf(history) ?? (yield* new NotFound({ detail: `there ${time === undefined ? "is" : "was"} no compose ${id}` }))
  return { history, state }
})

export const findCompose = (tenantId: TenantId, id: ComposeId, time?: string) => Effect.map(findHistory(tenantId, id, time), ({ state }) => state)

/** Ports say for themselves what cannot be reached; all of it is worth another try. */
export const orUnavailable = Effect.mapError(
  ({ message }: { readonly message: string }) => new Unavailable({ detail: message })
)
