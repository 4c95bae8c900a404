/** A password on its way through the whole system leaves no trace of itself in clear. */
import { randomBytes } from "node:crypto"
import { readdirSync, readFileSync, statSync } from "node:fs"
import { join } from "node:path"
import { jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect } from "@nats-io/transport-node"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Redacted, Schedule } from "effect"
import postgres from "postgres"
import { startStack } from "../../apps/standalone/stack.ts"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { temporaryFolder } from "../support/servers.ts"

/** Random, so that no compression can hide it from a search for its bytes. */
const planted = `planted-${randomBytes(18).toString("base64url")}`
const forms = [planted, Buffer.from(planted).toString("base64").replace(/=+$/, ""), Buffer.from(planted).toString("hex")]

const filesBelow = (dir: string): ReadonlyArray<string> =>
  readdirSync(dir, { recursive: true, withFileTypes: true }).filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))

const holding = (dir: string) =>
  filesBelow(dir).filter((file) => {
    try {
      const bytes = statSync(file).size < 2 ** 28 ? readFileSync(file) : Buffer.alloc(0)
      return forms.some((form) => bytes.includes(form))
    } catch {
      return false
    }
  })

/** Every message of every stream of an account, as the server gives it, uncompressed. */
const messages = async (servers: string, user: string, pass: string) => {
  const nc = await connect({ servers, user, pass })
  const [jsm, js] = [await jetstreamManager(nc), jetstream(nc)]
  const texts: Array<string> = []
  for await (const { config: { name }, state } of jsm.streams.list()) {
    if (state.messages === 0) continue
    if (isWorkQueue(name)) {
      for (let seq = state.first_seq; seq <= state.last_seq; seq++) {
        const message = await jsm.streams.getMessage(name, { seq }).catch(() => null)
        if (message) texts.push(message.string())
      }
      continue
    }
    const consumer = await js.consumers.get(name)
    for await (const message of await consumer.fetch({ max_messages: state.messages, expires: 2000 })) texts.push(message.string())
  }
  await nc.close()
  return texts
}
const isWorkQueue = (name: string) => name === "JOBS" || name === "RESULTS"

describe("a password", () => {
  it.live("given a compose that asks for a user with one, when it has been built, then neither streams, tables, logs nor files hold it", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const stack = yield* startStack({ home, durable: false, env: { KILN_TEST_DISTRIBUTION: "1" } })
      const token = yield* stack.token("acme", "requester")
      const api = (path: string, init: RequestInit = {}) =>
        Effect.promise(() => fetch(`${stack.url}/api/kiln/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } }))
      const posted = yield* api("/composes", {
        method: "POST",
        body: JSON.stringify({
          distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { lines: 3 } }],
          customizations: { users: [{ name: "admin", password: planted }] }
        })
      })
      assert.strictEqual(posted.status, 202)
      const { id } = (yield* Effect.promise(() => posted.json())) as { id: string }
      const shown = yield* Effect.flatMap(api(`/composes/${id}`), (answer) => Effect.promise(() => answer.text())).pipe(
        Effect.repeat({ until: (text) => text.includes("\"succeeded\""), schedule: Schedule.spaced("100 millis") }), Effect.timeout("30 seconds"))
      assert.notInclude(shown, planted)

      const { core, api: work } = yield* readNatsCredentials(join(home, "nats", "nats-credentials.json"))
      for (const { user, password } of [core, work]) {
        const texts = yield* Effect.promise(() => messages(stack.natsUrl, user, Redacted.value(password)))
        assert.isAbove(texts.length, 0)
        assert.deepStrictEqual(texts.filter((text) => forms.some((form) => text.includes(form))), [])
      }
      const sql = postgres(Redacted.value(stack.postgresUrl), { max: 1 })
      const tables = yield* Effect.promise(() => sql`select table_schema || '.' || table_name as name from information_schema.tables where table_schema = 'kiln'`)
      assert.isAtLeast(tables.length, 4)
      for (const { name } of tables) {
        const rows = yield* Effect.promise(() => sql.unsafe(`select row_to_json(t)::text as text from ${name} t`))
        assert.deepStrictEqual(rows.filter(({ text }) => forms.some((form) => text.includes(form))), [])
      }
      yield* Effect.promise(() => sql.end())
      // And the raw store, logs and workspaces, as a thief of the disk would see them.
      assert.deepStrictEqual(holding(home), [])
    }).pipe(Effect.scoped), 120_000)

  it("is found by this search where it is", () => {
    assert.isTrue(forms.some((form) => Buffer.from(JSON.stringify({ password: planted })).includes(form)))
  })
})
