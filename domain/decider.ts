import type { Result } from "effect"

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
