import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted } from "effect"
import { readFileSync, statSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import postgres from "postgres"
import { asOther, runAs } from "../../../infra/postgres-server/binaries.ts"
import { startPostgresServer } from "../../../infra/postgres-server/postgres-server.ts"
import { skipWhere } from "../../support/needs.ts"
import { createDatabase, temporaryFolder } from "../../support/servers.ts"

const query = Effect.fnUntraced(function*(url: Redacted.Redacted, text: string) {
  const sql = yield* Effect.acquireRelease(
    Effect.sync(() => postgres(Redacted.value(url), { max: 1, onnotice: () => {} })),
    (client) => Effect.promise(() => client.end({ timeout: 1 }))
  )
  return yield* Effect.promise(() => sql.unsafe(text).values())
}, Effect.scoped)

const refusal = (options: Parameters<typeof startPostgresServer>[0]) =>
  Effect.map(Effect.flip(Effect.scoped(startPostgresServer(options))), ({ message }) => message)

describe("the embedded Postgres", () => {
  it.effect("keeps what was committed over a kill and a restart, and its password to itself", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const server = yield* startPostgresServer({ dir })
      yield* query(server.url, "create table t (n int)")
      yield* query(server.url, "insert into t values (7)")
      yield* server.kill("SIGKILL")
      assert.match((yield* Effect.flip(server.lost)).message, /^Postgres has ended/)
      const again = yield* startPostgresServer({ dir })
      assert.deepStrictEqual(yield* query(again.url, "select n from t"), [[7]] as never)
      const password = readFileSync(join(dir, "postgres-password"), "utf8")
      assert.notInclude(readFileSync(`/proc/${again.pid}/cmdline`, "utf8"), password)
      for (const file of ["postgres-password", "postgres.log"]) {
        assert.strictEqual(statSync(join(dir, file)).mode & 0o777, 0o600, file)
      }
      const wrong = new URL(Redacted.value(again.url))
      wrong.password = "guess"
      const sql = postgres(wrong.href, { max: 1 })
      assert.match(String(yield* Effect.flip(Effect.tryPromise({ try: () => sql`select 1`, catch: String }))), /password/)
    }))

  it.effect("starts beside a pid file whose process id is somebody else's by now", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      yield* Effect.scoped(startPostgresServer({ dir, durable: false }))
      writeFileSync(join(dir, "data/postmaster.pid"), `${process.pid}\n${join(dir, "data")}\n`)
      yield* startPostgresServer({ dir, durable: false })
    }))

  it.effect("says in one sentence why it cannot start", () =>
    Effect.gen(function*() {
      const dir = yield* temporaryFolder
      const first = join(dir, "first")
      const { url } = yield* startPostgresServer({ dir: first, durable: false })
      const port = Number(new URL(Redacted.value(url)).port)
      assert.match(yield* refusal({ dir: join(dir, "second"), durable: false, port }), /^port \d+ on 127.0.0.1 is taken/)
      assert.match(yield* refusal({ dir: first }), /is in use by another Kiln, process \d+$/)
      assert.match(yield* refusal({ dir: join(dir, "third"), binaries: join(dir, "none") }), /^Postgres could not be set up: /)
      writeFileSync(join(dir, "file"), "no folder")
      assert.match(yield* refusal({ dir: join(dir, "file") }), /^postgres cannot write to /)
      writeFileSync(join(dir, "second/data/PG_VERSION"), "12\n")
      assert.match(yield* refusal({ dir: join(dir, "second") }), /was made by Postgres 12, this one is 18$/)
    }))

  it.effect("gives each test a database of its own", () =>
    Effect.gen(function*() {
      const [one, other] = [yield* createDatabase, yield* createDatabase]
      yield* query(one, "create table t (n int)")
      assert.deepStrictEqual(yield* query(other, "select to_regclass('t')::text"), [[null]] as never)
    }))
})

describe("the embedded Postgres under root", () => {
  skipWhere(process.getuid?.() !== 0, "this is not root")

  it.effect("runs as another user where root may not have a namespace, and changes over and back", () =>
    Effect.gen(function*() {
      const dir = join(yield* temporaryFolder, "inside")
      for (const as of [runAs(), asOther(), runAs()]) {
        yield* Effect.scoped(Effect.flatMap(
          startPostgresServer({ dir, durable: false, runAs: as }),
          ({ url }) => query(url, "create table if not exists t (n int)")
        ))
      }
    }))
})
