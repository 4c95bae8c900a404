import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { spawnChild } from "../../../infra/process/child.ts"
import { poll } from "../../../infra/process/poll.ts"
import { gone } from "../../support/gone.ts"

describe("a child process", () => {
  it.effect("is killed with its children when it does not end in time", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const script = "trap '' TERM; sleep 60 & echo $!; wait; sleep 60"
      const argv = ["bash", "-c", script] as const
      const pids = yield* Effect.scoped(Effect.gen(function*() {
        const child = yield* spawnChild({ argv, output: (line) => lines.push(line), grace: "50 millis" })
        const sleeper = yield* poll(5, () => lines[0])
        return [child.pid, Number(sleeper)]
      }))
      yield* gone(...pids)
    }))

  it.effect("tells how it ended, and that it could not start", () =>
    Effect.gen(function*() {
      const child = yield* spawnChild({ argv: ["bash", "-c", "exit 3"], output: () => {} })
      assert.deepStrictEqual(yield* child.exited, { code: 3, signal: null })
      const error = yield* Effect.flip(spawnChild({ argv: ["/nowhere/program"], output: () => {} }))
      assert.strictEqual(error._tag, "ChildNotStarted")
    }))
})
