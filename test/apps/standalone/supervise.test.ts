import { assert, describe, it } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { startFailed } from "../../../apps/standalone/start-failed.ts"
import { type Run, supervise } from "../../../apps/standalone/supervise.ts"
import { poll } from "../../../infra/process/poll.ts"

/** Runs that end when they are told to, and are counted. */
const program = (fails: (start: number) => boolean = () => false) => {
  const said: Array<string> = []
  const runs: Array<{ readonly end: (why: string) => void; closed: boolean }> = []
  let starts = 0
  const start = Effect.gen(function*() {
    starts += 1
    if (fails(starts)) return yield* startFailed("it is not the day for it")
    const ended = Deferred.makeUnsafe<string>()
    const end = (why: string) => void Deferred.doneUnsafe(ended, Effect.succeed(why))
    const self = { end, closed: false }
    runs.push(self)
    yield* Effect.addFinalizer(() => Effect.sync(() => self.closed = true))
    const stop = Effect.sync(() => end("asked"))
    const run: Run = { pid: starts, ended: Deferred.await(ended), stop, kill: (signal) => Effect.sync(() => end(signal)) }
    return run
  })
  return { said, runs, start: () => supervise({ name: "it", start, say: (line) => void said.push(line) }) }
}

const until = (done: () => boolean) => poll(5, () => (done() ? true : undefined))

describe("a supervised program", () => {
  it.live("comes back after longer and longer pauses, and says so", Effect.fnUntraced(function*() {
    const { runs, said, start } = program()
    const it = yield* start()
    runs[0]!.end("exit code 1")
    yield* until(() => it.starts === 2)
    assert.isTrue(runs[0]!.closed)
    yield* it.kill("SIGKILL")
    yield* until(() => it.starts === 3)
    assert.deepStrictEqual(said, ["it ended (exit code 1); starting it again in 100ms", "it ended (SIGKILL); starting it again in 200ms"])
    assert.strictEqual(it.pid, 3)
    yield* it.stop
  }))

  it.live("is tried again when it does not come back", Effect.fnUntraced(function*() {
    const { runs, said, start } = program((count) => count === 2)
    const it = yield* start()
    runs[0]!.end("exit code 1")
    yield* until(() => it.starts === 2)
    assert.strictEqual(said[1], "it does not start: it is not the day for it; trying again in 200ms")
    yield* it.stop
  }))

  it.live("does not start at all when its first start fails", Effect.fnUntraced(function*() {
    const { message } = yield* Effect.flip(program(() => true).start())
    assert.strictEqual(message, "it is not the day for it")
  }))

  it.live("restarts at once and without a word when asked", Effect.fnUntraced(function*() {
    const { said, start } = program()
    const it = yield* start()
    yield* it.restart
    assert.deepStrictEqual([it.starts, it.pid, said], [2, 2, []])
    yield* it.stop
  }))

  it.live("stays away once it is stopped", Effect.fnUntraced(function*() {
    const { runs, said, start } = program()
    const it = yield* start()
    yield* it.stop
    yield* Effect.sleep("300 millis")
    assert.deepStrictEqual([runs.length, runs[0]!.closed, said], [1, true, []])
  }))
})
