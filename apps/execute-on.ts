/** A command on any aggregate: read, fold, decide, append; again if another decision came first. */
import { Effect } from "effect"
import { type Decider, fold } from "../domain/decider.ts"
import { EventLog, LogUnavailable } from "../domain/ports/event-log.ts"
import type { AggregateKind, AggregateRef, EventOf, Recorded } from "../domain/recorded.ts"
import type { Intent } from "./execute.ts"

export interface Known<Kind extends AggregateKind, State> {
  readonly state: State
  readonly recorded: ReadonlyArray<Recorded<Kind>>
  readonly revision: number
}

export const readWith = Effect.fnUntraced(function*<Kind extends AggregateKind, State>(
  decider: Pick<Decider<State, EventOf<Kind>, never, never>, "initial" | "evolve">, ref: AggregateRef<Kind>
) {
  const { recorded, revision } = yield* (yield* EventLog).read(ref)
  const events = recorded.flatMap((each) => each.events as unknown as ReadonlyArray<EventOf<Kind>>)
  return { state: fold(decider, events), recorded, revision } satisfies Known<Kind, State>
})

/** Answers with the aggregate as it is then. */
export const executeOn = Effect.fnUntraced(
  function*<Kind extends AggregateKind, State, Command, Rejection>(
    decider: Decider<State, EventOf<Kind>, Command, Rejection>, ref: AggregateRef<Kind>, { actor, at, messageId, trace }: Omit<Intent, "tenantId">, command: Command
  ) {
    const { revision, state } = yield* readWith(decider, ref)
    const [first, ...others] = yield* Effect.fromResult(decider.decide(command, state))
    if (first === undefined) return state
    const events = [first, ...others] as const
    yield* (yield* EventLog).append(ref, revision, { messageId, at, actor, ...(trace !== undefined && { trace }), events })
    return fold(decider, events, state)
  },
  Effect.retry({ while: (error) => (error as { readonly _tag?: string })._tag === "WrongRevision", times: 10 }),
  (effect, _decider, ref) => Effect.catchIf(effect, (error): error is Extract<typeof error, { readonly _tag: "WrongRevision" }> => (error as { readonly _tag?: string })._tag === "WrongRevision",
    () => new LogUnavailable({ message: `${ref.aggregate} ${ref.id} is changing too fast to be written` }))
)
