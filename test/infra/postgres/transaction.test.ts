import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { Sql } from "../../../infra/postgres/sql.ts"
import { transaction } from "../../../infra/postgres/transaction.ts"
import { ReadModels } from "./read-models.ts"

layer(ReadModels, { excludeTestServices: true })("a transaction", (it) => {
  it.effect("given a server that ends its connection in the midst of it, then it fails, nothing is thrown where nobody sees it, and the pool goes on", () =>
    Effect.gen(function*() {
      const { sql } = yield* Sql
      const uncaught: Array<unknown> = []
      const note = (error: unknown) => void uncaught.push(error)
      process.on("uncaughtExceptionMonitor", note)
      yield* Effect.addFinalizer(() => Effect.sync(() => process.off("uncaughtExceptionMonitor", note)))
      for (let round = 0; round < 5; round++) {
        const failed = yield* Effect.result(Effect.tryPromise(() => transaction(sql, async (tx) => {
          const [own] = await tx`select pg_backend_pid() as pid`
          const slow = tx`select pg_sleep(30)`.execute()
          slow.catch(() => {})
          await sql`select pg_terminate_backend(${own!["pid"]})`
          return slow
        })))
        assert.strictEqual(failed._tag, "Failure")
      }
      const answers = yield* Effect.promise(() => Promise.all(Array.from({ length: 24 }, (_, n) => sql`select ${n}::int as n`.then(([row]) => row!["n"] as number))))
      assert.deepStrictEqual(answers, Array.from({ length: 24 }, (_, n) => n))
      assert.deepStrictEqual(uncaught, [])
    }))

  it.effect("given a statement that fails, then all of it is undone, and it says why", () =>
    Effect.gen(function*() {
      const { sql } = yield* Sql
      const failed = yield* Effect.result(Effect.tryPromise({
        try: () => transaction(sql, async (tx) => {
          await tx`create table undone (n int)`
          await tx`select 1 / 0`
        }),
        catch: (error) => (error as Error).message
      }))
      assert.deepStrictEqual(failed._tag === "Failure" && failed.failure, "division by zero")
      const [row] = yield* Effect.promise(() => sql`select to_regclass('undone') as name`)
      assert.isNull(row!["name"])
    }))
})
