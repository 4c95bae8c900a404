import { Effect } from "effect"
import type { Compose } from "../domain/compose-state.ts"
import { ComposeDecider } from "../domain/compose.ts"
import { fold } from "../domain/decider.ts"
import type { ComposeId, TenantId } from "../domain/ids.ts"
import { EventLog } from "../domain/ports/event-log.ts"
import { composeRef } from "../domain/recorded.ts"

/** A compose as the log has it now; `absent` at revision 0 if nobody asked for it. */
export const readCompose = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId) {
  const log = yield* EventLog
  const { recorded, revision } = yield* log.read(composeRef(tenantId, composeId))
  const compose: Compose = fold(ComposeDecider, recorded.flatMap(({ events }) => events))
  return { compose, recorded, revision }
})
