/** Every process of a stack is told to go and is started again while composes run: they wait, none fails, no attempt is counted. */
import { randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Fiber, Schedule } from "effect"
import { startStack } from "../../apps/standalone/stack.ts"
import { gather } from "../chaos/evidence.ts"
import type { Evidence } from "../chaos/verdict.ts"
import { temporaryFolder } from "../support/servers.ts"

const body = { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { duration_ms: 800, bytes: 5000 } }] }

const eventsOf = (log: Evidence["log"]) => log.flatMap((entry) => entry._tag === "Recorded" && entry.aggregate === "compose" ? entry.events : [])
const tagged = (log: Evidence["log"], tag: string) => eventsOf(log).filter(({ _tag }) => _tag === tag)

describe("a rolling restart under load", () => {
  it.live("given composes that are asked for and run all the while, when every process is told to go and started again, then all succeed in first attempts", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const stack = yield* startStack({ home, durable: false, workers: 2, env: { KILN_TEST_DISTRIBUTION: "1", KILN_SLOTS: JSON.stringify({ resolve: 1, build: 3, upload: 3 }) } })
      const token = yield* stack.token("acme", "requester")
      const ask = <A>(path: string, init: RequestInit = {}) =>
        Effect.tryPromise(async () => {
          const answer = await fetch(`${stack.url}/api/kiln/v1${path}`, {
            ...init, headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...init.headers }, signal: AbortSignal.timeout(10_000)
          })
          if (!answer.ok) throw new Error(`${path}: ${answer.status}`)
          return await answer.json() as A
          // The gateway is among those that go.
        }).pipe(Effect.retry({ times: 300, schedule: Schedule.spaced("50 millis") }))

      const ids: Array<string> = []
      const request = Effect.suspend(() => ask<{ id: string }>("/composes", { method: "POST", body: JSON.stringify(body), headers: { "idempotency-key": randomUUID() } })).pipe(
        Effect.tap(({ id }) => Effect.sync(() => ids.push(id))))
      yield* Effect.forEach(Array.from({ length: 12 }), () => request, { concurrency: 10, discard: true })
      const load = yield* Effect.forkChild(Effect.forever(Effect.delay(request, "300 millis")))
      /** One after the other: the next goes when the service answers again. */
      for (const { restart } of [...stack.processes.values()].toReversed()) {
        yield* Effect.suspend(() => Effect.forEach(ids.slice(-12), (id) => ask<{ status: string }>(`/composes/${id}`))).pipe(
          Effect.repeat({ until: (composes) => composes.some(({ status }) => status === "running"), schedule: Schedule.spaced("50 millis") }))
        yield* restart
        const asked = ids.length
        yield* Effect.sync(() => ids.length).pipe(Effect.repeat({ until: (count) => count > asked, schedule: Schedule.spaced("20 millis") }))
      }
      yield* Fiber.interrupt(load)

      yield* Effect.forEach(ids, (id) =>
        ask<{ status: string }>(`/composes/${id}`).pipe(
          Effect.repeat({ until: ({ status }) => !["pending", "running"].includes(status), schedule: Schedule.spaced("100 millis") })), { concurrency: 4, discard: true })
      const isDone = ({ left, log }: Evidence) => left.length === 0 && tagged(log, "ComposeRequested").length === tagged(log, "ComposeFinished").length
      const evidence = yield* Effect.promise(() => gather(stack, [], isDone, 20_000))
      assert.isTrue(isDone(evidence))
      const events = eventsOf(evidence.log)
      const count = (tag: string) => tagged(evidence.log, tag).length
      assert.isAtLeast(ids.length, 19)
      assert.deepStrictEqual(events.filter(({ _tag }) => _tag === "JobFailed" || _tag === "JobLost"), [])
      assert.strictEqual(events.filter((event) => event._tag === "ComposeFinished" && event.outcome === "succeeded").length, count("ComposeRequested"))
      assert.isAtLeast(count("ComposeRequested"), ids.length)
      assert.deepStrictEqual([...new Set(events.flatMap((event) => "attempt" in event ? [event.attempt] : []))], [1])
      // It was no walk in the park: running jobs were handed back.
      assert.isAbove(count("JobReturned"), 0)
    }).pipe(Effect.scoped))
})
