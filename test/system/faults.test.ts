/** The whole stack as processes of its own, killed without a word while it works: nothing is lost, doubled or stuck. */
import { randomUUID } from "node:crypto"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import postgres from "postgres"
import { type Stack, startStack } from "../../apps/standalone/stack.ts"
import { temporaryFolder } from "../support/servers.ts"

const kills = ["worker", "gateway", "scheduler", "nats", "projector", "worker", "postgres", "scheduler", "gateway", "worker"] as const
const composes = 40

interface Compose {
  readonly id: string
  readonly status: string
  readonly jobs: ReadonlyArray<{ readonly id: string; readonly attempts: ReadonlyArray<{ readonly status: string }> }>
}

const ask = (stack: Stack, token: string, method: string, path: string, body?: unknown, key?: string) =>
  Effect.tryPromise(async () => {
    const answer = await fetch(`${stack.url}/api/kiln/v1${path}`, {
      method,
      headers: { authorization: `Bearer ${token}`, "content-type": "application/json", ...(key !== undefined && { "idempotency-key": key }) },
      ...(body !== undefined && { body: JSON.stringify(body) }),
      signal: AbortSignal.timeout(10_000)
    })
    if (!answer.ok) throw new Error(`${method} ${path}: ${answer.status} ${await answer.text()}`)
    return await answer.json() as Compose
  }).pipe(Effect.retry({ schedule: Schedule.spaced("200 millis"), times: 150 }))

describe("a stack under fire", () => {
  it.live("given composes on their way, when each process is killed -9 in turn, then all of them end well, once, and the read model says so", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const stack = yield* startStack({ home, durable: false, workers: 2, env: { KILN_TEST_DISTRIBUTION: "1", KILN_LOST_AFTER: "6 seconds" } })
      const token = yield* stack.token("acme", "requester")
      const request = (index: number) => ({
        distribution: "test-distro-1", name: `fault ${index}`,
        images: [{ architecture: "x86_64", type: "simulated", options: { duration_ms: 400, lines: 5 } }]
      })
      const requesting = Effect.forEach(Array.from({ length: composes }), (_, index) =>
        Effect.andThen(Effect.sleep("150 millis"), ask(stack, token, "POST", "/composes", request(index), randomUUID())))
      const killing = Effect.forEach(kills, (name) =>
        Effect.sleep("600 millis").pipe(Effect.andThen(Effect.suspend(() => stack.processes.get(name)!.kill("SIGKILL"))), Effect.ignore))
      const [requested] = yield* Effect.all([requesting, killing], { concurrency: "unbounded" })

      assert.strictEqual(new Set(requested.map(({ id }) => id)).size, composes)
      const ended = yield* Effect.forEach(requested, ({ id }) =>
        ask(stack, token, "GET", `/composes/${id}`).pipe(
          Effect.repeat({ until: ({ status }) => !["pending", "running"].includes(status), schedule: Schedule.spaced("250 millis") })), { concurrency: 8 }
      ).pipe(Effect.timeout("90 seconds"))
      assert.deepStrictEqual(ended.filter(({ status }) => status !== "succeeded"), [])
      for (const { jobs } of ended) {
        for (const { attempts } of jobs) assert.strictEqual(attempts.filter(({ status }) => status === "succeeded").length, 1)
      }
      const sql = postgres(Redacted.value(stack.postgresUrl), { max: 1 })
      yield* Effect.promise(() => sql`select count(*)::int as count from kiln.composes where status = 'succeeded'`).pipe(
        Effect.repeat({ until: ([row]) => row!["count"] === composes, schedule: Schedule.spaced("100 millis") }), Effect.timeout("20 seconds"))
      yield* Effect.promise(() => sql.end())
    }).pipe(Effect.scoped), 180_000)
})
