/** The one command handler: read, fold, decide, append; again if another decision came first. */
import { Effect } from "effect"
import type { ComposeCommand } from "../domain/compose-commands.ts"
import type { ComposeEvent } from "../domain/compose-events.ts"
import type { Compose } from "../domain/compose-state.ts"
import { ComposeDecider } from "../domain/compose.ts"
import type { Millis, TenantId } from "../domain/ids.ts"
import { EventLog, LogUnavailable } from "../domain/ports/event-log.ts"
import { type Actor, composeRef, type Position } from "../domain/recorded.ts"
import { readCompose } from "./read-compose.ts"

/** Who asks, when, and under which id; the same id asks for the same thing only once. */
export interface Intent {
  readonly tenantId: TenantId
  readonly messageId: string
  readonly at: Millis
  readonly actor: Actor
  readonly trace?: string | undefined
}

/** What became of a command: no events and no position if everything it asks for was there already. */
export interface Executed {
  readonly events: ReadonlyArray<ComposeEvent>
  readonly revision: number
  readonly position: Position | undefined
}

/**
 * Fails with the decider's rejection, which is an answer, and with `LogUnavailable`, after which nobody knows whether it was
 * stored: the same intent may be tried again.
 */
export const execute = Effect.fnUntraced(
  function*(intent: Intent, command: ComposeCommand) {
    const { compose, revision } = yield* readCompose(intent.tenantId, command.composeId)
    return yield* decideAndAppend(intent, command, compose, revision)
  },
  Effect.retry({ while: (error) => error._tag === "WrongRevision", times: 10 }),
  Effect.catchTag("WrongRevision", ({ id }) => new LogUnavailable({ message: `compose ${id} is changing too fast to be written` }))
)

/** For a compose that is not there yet: spares the look at nothing. If it is there after all, it is looked at. */
export const executeFirst = (intent: Intent, command: ComposeCommand) =>
  Effect.catchTag(decideAndAppend(intent, command, ComposeDecider.initial, 0), "WrongRevision", () => execute(intent, command))

const decideAndAppend = Effect.fnUntraced(function*(intent: Intent, command: ComposeCommand, compose: Compose, revision: number) {
  const { tenantId, messageId, at, actor, trace } = intent
  const events = yield* Effect.fromResult(ComposeDecider.decide(command, compose))
  const [first, ...rest] = events
  if (first === undefined) return { events, revision, position: undefined } satisfies Executed
  const position = yield* (yield* EventLog).append(composeRef(tenantId, command.composeId), revision, {
    messageId, at, actor, ...(trace !== undefined && { trace }), events: [first, ...rest]
  })
  return { events, revision: revision + 1, position } satisfies Executed
})
