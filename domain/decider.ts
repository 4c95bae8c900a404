import { Result } from "effect"

/** An aggregate: where it begins, how an event changes it, what a command adds to it or why not. */
export interface Decider<State, Event, Command, Rejection> {
  readonly initial: State
  /** Never fails and never judges: it believes what happened. */
  readonly evolve: (state: State, event: Event) => State
  /** Pure: times, ids and random values arrive in the command. */
  readonly decide: (command: Command, state: State) => Result.Result<ReadonlyArray<Event>, Rejection>
}

export const fold = <State, Event>(
  decider: Pick<Decider<State, Event, never, never>, "initial" | "evolve">,
  events: Iterable<Event>,
  from: State = decider.initial
): State => {
  let state = from
  for (const event of events) state = decider.evolve(state, event)
  return state
}

/** Several commands as one decision: each is decided on what those before it have changed; which of them were rejected. */
export const decideAll = <State, Event, Command, Rejection>(
  decider: Decider<State, Event, Command, Rejection>,
  state: State,
  commands: ReadonlyArray<Command>
): { readonly events: ReadonlyArray<Event>; readonly rejected: ReadonlySet<number> } => {
  const events: Array<Event> = []
  const rejected = new Set<number>()
  let then = state
  for (const [at, command] of commands.entries()) {
    const decided = decider.decide(command, then)
    if (Result.isFailure(decided)) {
      rejected.add(at)
      continue
    }
    events.push(...decided.success)
    then = fold(decider, decided.success, then)
  }
  return { events, rejected }
}
