import { Effect } from "effect"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { composeRef } from "../../domain/recorded.ts"
import { NotFound, Unavailable } from "./api/problems.ts"
import { stateOf } from "./compose-details.ts"

/** The compose by its own events. Another tenant's is not there, like one that never was. */
export const findHistory = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  const log = yield* EventLog
  const { recorded } = yield* log.read(composeRef(tenantId, id)).pipe(orUnavailable)
  const state = stateOf(recorded) ?? (yield* new NotFound({ detail: `there is no compose ${id}` }))
  return { history: recorded, state }
})

export const findCompose = (tenantId: TenantId, id: ComposeId) => Effect.map(findHistory(tenantId, id), ({ state }) => state)

/** Ports say for themselves what cannot be reached; all of it is worth another try. */
export const orUnavailable = Effect.mapError(
  ({ message }: { readonly message: string }) => new Unavailable({ detail: message })
)
