import { assert } from "@effect/vitest"
import { Result } from "effect"
import { type Decider, fold } from "../../domain/decider.ts"

/** given(events).when(command).then(events) | .thenNothing() | .thenRejected(rejection) */
export const specify = <State, Event, Command, Rejection>(decider: Decider<State, Event, Command, Rejection>) => ({
  given: (...events: ReadonlyArray<Event>) => ({
    when: (command: Command) => {
      const decided = decider.decide(command, fold(decider, events))
      return {
        then: (...expected: ReadonlyArray<Event>) => assert.deepStrictEqual(Result.getOrThrow(decided), expected),
        thenNothing: () => assert.deepStrictEqual(Result.getOrThrow(decided), []),
        thenRejected: (rejection: Rejection) => assert.deepStrictEqual(Result.isFailure(decided) ? decided.failure : decided, rejection)
      }
    }
  })
})
