/** Passwords and credentials on their way through the whole system leave no trace of themselves in clear. */
import { generateKeyPairSync, randomBytes } from "node:crypto"
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
const { privateKey } = generateKeyPairSync("rsa", {
  modulusLength: 2048, publicKeyEncoding: { type: "spki", format: "pem" }, privateKeyEncoding: { type: "pkcs8", format: "pem" }
})
const forms = [planted, privateKey.split("\n")[5]!, Buffer.from(planted).toString("base64").replace(/=+$/, ""), Buffer.from(planted).toString("hex")]

/** Nobody listens at port 1, so that every delivery fails and has something to say of why. */
const nowhere = "http://127.0.0.1:1"
const plantedSets = {
  aws: { provider: "aws", access_key_id: `AKIA${planted}`, secret_access_key: planted, session_token: planted, region: "eu-central-1", endpoints: { s3: nowhere, ec2: nowhere, sts: nowhere } },
  gcp: {
    provider: "gcp", project: "some-project", endpoints: { storage: nowhere, compute: nowhere },
    key: JSON.stringify({ type: "service_account", client_email: "kiln@some-project.iam.gserviceaccount.com", private_key: privateKey, private_key_id: planted, token_uri: `${nowhere}/token` })
  },
  azure: { provider: "azure", tenant_id: "11111111-1111-1111-1111-111111111111", client_id: "22222222-2222-2222-2222-222222222222", client_secret: planted, endpoints: { login: nowhere, management: nowhere, blob: nowhere } },
  oci: { provider: "oci", username: "ann", password: planted }
}
const cloudTargets = [
  { type: "s3", bucket: "images-of-acme", credentials: "aws" },
  { type: "oci", registry: "127.0.0.1:1", repository: "acme/image", credentials: "oci" }
]
/** These take disks, which simulated images are not. */
const diskTargets = [
  { type: "gcp", bucket: "images-of-acme", credentials: "gcp" },
  {
    type: "azure", subscription: "33333333-3333-3333-3333-333333333333", resource_group: "rg", location: "westeurope", storage_account: "kilnimages",
    container: "images", credentials: "azure"
  }
]
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
/** Once it is built, delivered to Kiln's own store, and has failed once at each cloud. */
const hasTried = (text: string): boolean => {
  const { images: [image] = [] } = JSON.parse(text) as { images?: ReadonlyArray<{ targets: ReadonlyArray<{ status: string; attempts: number; failure?: object }> }> }
  return image !== undefined && image.targets.every(({ failure, status }) => status === "succeeded" || failure !== undefined)
}
const isWorkQueue = (name: string) => name === "JOBS" || name === "RESULTS"

describe("a password", () => {
  it.live("given a compose that asks for a user with one, and for targets with sets of credentials, when it has been built and delivered in vain, then neither streams, tables, logs nor files hold them", () =>
    Effect.gen(function*() {
      const home = yield* temporaryFolder
      const stack = yield* startStack({ home, durable: false, env: { KILN_TEST_DISTRIBUTION: "1", KILN_ALLOW_PRIVATE_ENDPOINTS: "true" } })
      const token = yield* stack.token("acme", "requester")
      const api = (path: string, init: RequestInit = {}) =>
        Effect.promise(() => fetch(`${stack.url}/api/kiln/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } }))
      for (const [name, set] of Object.entries(plantedSets)) {
        const stored = yield* api(`/credentials/${name}`, { method: "PUT", body: JSON.stringify(set) })
        const text = yield* Effect.promise(() => stored.text())
        assert.strictEqual(stored.status, 200, text)
        assert.notInclude(text, planted)
      }
      const posted = yield* api("/composes", {
        method: "POST",
        body: JSON.stringify({
          distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options: { lines: 3 }, targets: [{ type: "file" }, ...cloudTargets] }],
          customizations: { users: [{ name: "admin", password: planted }] }
        })
      })
      assert.strictEqual(posted.status, 202, posted.status === 202 ? "" : yield* Effect.promise(() => posted.text()))
      const { id } = (yield* Effect.promise(() => posted.json())) as { id: string }
      const shown = yield* Effect.flatMap(api(`/composes/${id}`), (answer) => Effect.promise(() => answer.text())).pipe(
        Effect.repeat({ until: hasTried, schedule: Schedule.spaced("100 millis") }), Effect.timeout("30 seconds"))
      assert.notInclude(shown, planted)
      // Each was tried with its set, and failed: nobody answers there.
      const checked = yield* Effect.flatMap(api("/targets/check", { method: "POST", body: JSON.stringify({ targets: [...cloudTargets, ...diskTargets] }) }), (answer) => Effect.promise(() => answer.text()))
      assert.notInclude(checked, planted)
      for (const path of ["/credentials", `/composes/${id}/logs`, `/composes/${id}/artifacts`]) {
        assert.notInclude(yield* Effect.flatMap(api(path), (answer) => Effect.promise(() => answer.text())), planted)
      }

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
    }).pipe(Effect.scoped))

  it("is found by this search where it is", () => {
    assert.isTrue(forms.some((form) => Buffer.from(JSON.stringify({ password: planted })).includes(form)))
  })
})
