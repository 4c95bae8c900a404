/** The one command handler: read, fold, decide, append; again if another decision came first. */
import { Effect } from "effect"
import { type ComposeCommand, ComposeDecider, type ComposeEvent } from "../domain/compose.ts"
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

/** For an aggregate that nobody can have written to, since its id is new: spares the look at nothing. */
export const executeFirst = Effect.fn("executeFirst")(function*(intent: Intent, command: ComposeCommand) {
  const log = yield* EventLog
  const { tenantId, messageId, at, actor, trace } = intent
  const [first, ...rest] = yield* Effect.fromResult(ComposeDecider.decide(command, ComposeDecider.initial))
  if (first === undefined) return yield* execute(intent, command)
  const events: [ComposeEvent, ...Array<ComposeEvent>] = [first, ...rest]
  const position = yield* log.append(composeRef(tenantId, command.composeId), 0, {
    messageId, at, actor, ...(trace !== undefined && { trace }), events
  })
  return { events, revision: 1, position } satisfies Executed
}, (effect, intent, command) => Effect.catchTag(effect, "WrongRevision", () => execute(intent, command)))

export const execute = Effect.fn("execute")(
  function*({ tenantId, messageId, at, actor, trace }: Intent, command: ComposeCommand) {
    const log = yield* EventLog
    const { compose, revision } = yield* readCompose(tenantId, command.composeId)
    const events = yield* Effect.fromResult(ComposeDecider.decide(command, compose))
    const [first, ...rest] = events
    if (first === undefined) return { events, revision, position: undefined } satisfies Executed
    const position = yield* log.append(composeRef(tenantId, command.composeId), revision, {
      messageId, at, actor, ...(trace !== undefined && { trace }), events: [first, ...rest]
    })
    return { events, revision: revision + 1, position } satisfies Executed
  },
  Effect.retry({ while: (error) => error._tag === "WrongRevision", times: 10 }),
  Effect.catchTag("WrongRevision", ({ id }) => new LogUnavailable({ message: `compose ${id} is changing too fast to be written` }))
)
