/** Puts what operators do to the installation itself on record, around doing it. */
import { Clock, Effect, Exit, Result } from "effect"
import { v7 } from "uuid"
import { fold } from "../domain/decider.ts"
import { Millis, type TenantId } from "../domain/ids.ts"
import { BeginOperation, EndOperation, type OperationCommand, OperationDecider } from "../domain/operation.ts"
import { EventLog } from "../domain/ports/event-log.ts"
import { type Actor, operationRef } from "../domain/recorded.ts"

/** The tenant whose thing it is; of what is nobody's, the operators' own. */
export interface OperationBy {
  readonly tenantId: TenantId
  readonly actor: Actor
  readonly trace?: string | undefined
}

/** `operation` and `on` as the audit shows them. */
export interface OperationOn<A> {
  readonly operation: string
  readonly on: string
  /** What is worth saying of how it went. */
  readonly result?: (answer: A) => string
}

/**
 * Nothing is done unless it is on record as begun. How it ended is recorded as far as that can be: an operation without an
 * end was cut off. A failure keeps its own words.
 */
export const onRecord = Effect.fnUntraced(function*<A, E extends { readonly message: string }, R>(
  by: OperationBy, { on, operation, result }: OperationOn<A>, effect: Effect.Effect<A, E, R>
) {
  const id = `${operation}-${v7()}`
  yield* execute(by, id, BeginOperation.make({ operation, on: short(on) }))
  const ended = (exit: Exit.Exit<A, E>) =>
    Exit.isSuccess(exit)
      ? EndOperation.make(result === undefined ? {} : { result: short(result(exit.value)) })
      : EndOperation.make({ failure: short(Exit.findErrorOption(exit).pipe((error) => error._tag === "Some" ? error.value.message : "it was interrupted")) })
  return yield* Effect.onExit(effect, (exit) =>
    Effect.catch(execute(by, id, ended(exit)), (error) => Effect.logWarning(`the end of ${id} is not on record`, error.message)))
})

const short = (text: string) => text.toWellFormed().replaceAll("\u0000", "\ufffd").slice(0, 1000).toWellFormed()

const execute = Effect.fnUntraced(function*({ actor, tenantId, trace }: OperationBy, id: string, command: OperationCommand) {
  const log = yield* EventLog
  const ref = operationRef(tenantId, id)
  const { recorded, revision } = command._tag === "BeginOperation" ? { recorded: [], revision: 0 } : yield* log.read(ref)
  const decided = OperationDecider.decide(command, fold(OperationDecider, recorded.flatMap(({ events }) => events)))
  const [first, ...others] = Result.getOrElse(decided, () => [])
  if (first === undefined) return
  const at = Millis.make(yield* Clock.currentTimeMillis)
  yield* log.append(ref, revision, { messageId: `${command._tag}-${id}`, at, actor, ...(trace !== undefined && { trace }), events: [first, ...others] })
}, Effect.catchTag("WrongRevision", (error) => Effect.die(error)))
