import { assert, describe, it } from "@effect/vitest"
import { Effect, Scope, Exit } from "effect"
import { existsSync } from "node:fs"
import { startStack } from "../../../apps/standalone/stack.ts"
import { poll } from "../../../infra/process/poll.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"

describe("a stack", () => {
  it.live("stops its workers first and its servers last", Effect.fnUntraced(function*() {
    const home = yield* temporaryFolder
    const scope = yield* Scope.make()
    const stack = yield* startStack({ home, durable: false, processes: ["scheduler", "projector", "worker"], workers: 2 }).pipe(Scope.provide(scope))
    const names = ["scheduler", "projector", "worker", "worker-2", "nats", "postgres"]
    assert.sameMembers([...stack.processes.keys()], names)
    const tier = (name: string) => name.startsWith("worker") ? 0 : name === "nats" || name === "postgres" ? 2 : 1
    // Those who should go last are looked for first: if one is gone, who should have gone before it is gone at its own look.
    const pids = [...stack.processes].map(([name, { pid }]) => ({ name, pid })).toSorted((a, b) => tier(b.name) - tier(a.name))
    const gone: Array<string> = []
    const watch = setInterval(() => {
      const found = pids.filter(({ name, pid }) => !gone.includes(name) && !existsSync(`/proc/${pid}`))
      gone.push(...found.map(({ name }) => name).toReversed())
    }, 1)
    yield* Scope.close(scope, Exit.void)
    yield* poll(5, () => gone.length === names.length || undefined)
    clearInterval(watch)
    assert.sameMembers(gone, names)
    const order = gone.map(tier)
    assert.deepStrictEqual(order, order.toSorted((a, b) => a - b))
  }))
})
