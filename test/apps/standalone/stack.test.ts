import { assert, describe, it } from "@effect/vitest"
import { Effect, Scope, Exit } from "effect"
import { existsSync } from "node:fs"
import { startStack } from "../../../apps/standalone/stack.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"

describe("a stack", () => {
  it.live("stops its workers first and its servers last", Effect.fnUntraced(function*() {
    const home = yield* temporaryFolder
    const scope = yield* Scope.make()
    const stack = yield* startStack({ home, durable: false, processes: ["scheduler", "projector", "worker"], workers: 2 }).pipe(Scope.provide(scope))
    const names = ["scheduler", "projector", "worker", "worker-2", "nats", "postgres"]
    assert.sameMembers([...stack.processes.keys()], names)
    const pids = new Map([...stack.processes].map(([name, { pid }]) => [name, pid]))
    const gone: Array<string> = []
    const watch = setInterval(() => {
      for (const [name, pid] of pids) if (!gone.includes(name) && !existsSync(`/proc/${pid}`)) gone.push(name)
    }, 1)
    yield* Scope.close(scope, Exit.void)
    yield* Effect.sleep("20 millis")
    clearInterval(watch)
    assert.sameMembers(gone, names)
    const tier = (name: string) => name.startsWith("worker") ? 0 : name === "nats" || name === "postgres" ? 2 : 1
    const order = gone.map(tier)
    assert.deepStrictEqual(order, order.toSorted((a, b) => a - b))
  }), 30_000)
})
