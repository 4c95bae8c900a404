import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { WebhookDeliveries } from "../../../domain/ports/webhook-deliveries.ts"
import { Millis } from "../../../domain/ids.ts"
import { webhooksRef } from "../../../domain/recorded.ts"
import { AskRedelivery, AskReplay, DisableWebhook, EnableWebhook, RemoveWebhook, RotateWebhookKey, TestWebhook } from "../../../domain/webhooks.ts"
import { Sealer } from "../../../domain/ports/sealer.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { TenantRows } from "../../../infra/postgres/tenant-rows.ts"
import { deliveryPage } from "../../../infra/postgres/webhook-log-postgres.ts"
import { WebhookLog } from "../../../projections/webhook-log.ts"
import { newKey } from "../../../apps/webhook-key.ts"
import { TestNats } from "../../support/servers.ts"
import { newTenant, until } from "../../support/small-stack.ts"
import { answering, firstOf, type Got, webhookReceiver } from "../../support/webhook-receiver.ts"
import { addWebhook, append, command, hasty, lifeOf, live, newCompose, startWebhooks, typesOfLife, WebhooksStack } from "../../support/webhooks.ts"

type Receiver = Effect.Success<ReturnType<typeof webhookReceiver>>
const times = (receiver: Receiver, count: number, path = "/") => until(Effect.sync(() => receiver.got(path)), (got) => got.length >= count)
const rowsOf = (webhookId: string) =>
  Effect.flatMap(Sql, ({ run }) => run((sql) => sql<Array<{ occurrence: string; state: string; attempts: number; status: number | null; error: string | null; excerpt: string | null }>>`
    select occurrence, state, attempts, status, error, excerpt from kiln.webhook_deliveries where webhook_id = ${webhookId} order by id`))
const settled = (webhookId: string, state: string, count: number) =>
  until(rowsOf(webhookId), (rows) => rows.filter((row) => row.state === state).length >= count)
const ids = (got: ReadonlyArray<Got>) => new Set(got.map(({ id }) => id))

layer(WebhooksStack, { excludeTestServices: true })("webhooks", (it) => {
  it.effect("given one for everything, when a compose lives, then its endpoint is told of each event in order, signed, as a CloudEvent", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      const { key, webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      const composeId = yield* live(tenantId, { labels: { team: "web" } })
      yield* times(receiver, typesOfLife.length)
      assert.deepStrictEqual(firstOf(receiver.got(), composeId), typesOfLife)
      const [first] = receiver.got()
      assert.isTrue(receiver.got().every((each) => each.isSignedBy(key)))
      assert.isFalse(first!.isSignedBy("whsec_c29tZWJvZHkgZWxzZSdzIGtleSBpcyBub3QgaXQh"))
      assert.strictEqual(first!.headers["content-type"], "application/cloudevents+json; charset=utf-8")
      assert.strictEqual(first!.id, first!.event.id)
      assert.deepInclude({ ...first!.event } as Record<string, unknown>, {
        specversion: "1.0", source: `/kiln/test/tenants/${tenantId}`, subject: `composes/${composeId}`, datacontenttype: "application/json"
      })
      assert.deepStrictEqual(first!.event.data, {
        compose_id: composeId, status: "pending", distribution: "debian-13", labels: { team: "web" },
        images: [{ architecture: "x86_64", type: "guest-image", targets: ["file"] }]
      })
      const rows = yield* settled(webhookId, "delivered", typesOfLife.length)
      assert.deepInclude(rows[0]!, { attempts: 1, status: 200, excerpt: "thank you", error: null })
    }))

  it.effect("given filters, when composes of several kinds and tenants live, then each endpoint is told of its own only, and only of what comes after it", () =>
    Effect.gen(function*() {
      const [tenantId, other] = [newTenant(), newTenant()]
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      yield* live(tenantId)
      yield* addWebhook(tenantId, { url: `${receiver.url}/failed`, types: ["kiln.compose.failed"] })
      yield* addWebhook(tenantId, { url: `${receiver.url}/web`, types: ["kiln.compose.*"], filter: { labels: { team: "web" } } })
      yield* addWebhook(other, { url: `${receiver.url}/other`, filter: { distributions: ["debian-12"] } })
      const good = yield* live(tenantId, { labels: { team: "web" } })
      const bad = yield* live(tenantId, { fails: true })
      yield* live(other)
      yield* times(receiver, 1, "/failed")
      yield* times(receiver, 2, "/web")
      const last = yield* live(other, { distribution: "debian-12" })
      yield* times(receiver, typesOfLife.length, "/other")
      assert.deepStrictEqual(receiver.got("/failed").map(({ event }) => [event.type, event.data.compose_id]), [["kiln.compose.failed", bad]])
      assert.deepStrictEqual(receiver.got("/failed")[0]!.event.data["failure"], { class: "user", message: "no such package" })
      assert.deepStrictEqual(receiver.got("/web").map(({ event }) => [event.type, event.data.compose_id]), [["kiln.compose.requested", good], ["kiln.compose.succeeded", good]])
      assert.deepStrictEqual(firstOf(receiver.got("/other"), last), typesOfLife)
      assert.strictEqual(receiver.got("/other").length, typesOfLife.length)
    }))

  it.effect("given first webhooks of two tenants and composes of both that are made while nobody reads, then each is told all of its own", () =>
    Effect.gen(function*() {
      const tenants = [newTenant(), newTenant()]
      const receiver = yield* webhookReceiver()
      const composes = yield* Effect.forEach(tenants, Effect.fnUntraced(function*(tenantId) {
        yield* addWebhook(tenantId, { url: `${receiver.url}/${tenantId}` })
        return yield* live(tenantId)
      }))
      yield* startWebhooks()
      for (const [at, tenantId] of tenants.entries()) {
        yield* times(receiver, typesOfLife.length, `/${tenantId}`)
        assert.deepStrictEqual(firstOf(receiver.got(`/${tenantId}`), composes[at]!), typesOfLife)
      }
    }))

  it.effect("given an endpoint that is away for a while, then what happened meanwhile comes in order once it is back, each under the id it had at first", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver(answering(503, "later"))
      yield* startWebhooks()
      const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      const composes = [yield* live(tenantId), yield* live(tenantId), yield* live(tenantId), yield* live(tenantId), yield* live(tenantId)]
      yield* times(receiver, 8)
      const refused = receiver.got().length
      receiver.state.behaviour = answering(200)
      yield* settled(webhookId, "delivered", 25)
      const came = receiver.got().slice(refused)
      for (const composeId of composes) assert.deepStrictEqual(firstOf(came, composeId), typesOfLife)
      assert.strictEqual(ids(receiver.got()).size, 25)
      assert.isTrue(new Set(receiver.got().slice(0, refused).map(({ event }) => event.type)).isSubsetOf(new Set(["kiln.compose.requested"])), "nothing overtook what was refused")
    }))

  it.effect("given endpoints that hang, redirect and answer without end, then another of the tenant is told at once, and their deliveries say why", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver(({ path }, response) => {
        if (path === "/hangs") return
        if (path === "/redirects") return void response.writeHead(307, { location: `${receiver.url}/led` }).end()
        response.writeHead(200)
        if (path !== "/endless") return void response.end()
        const more = () => void response.write("x".repeat(65_536), (error) => error === null || error === undefined ? more() : undefined)
        more()
      })
      yield* startWebhooks({ sender: { timeoutMs: 1000 } })
      const dead = yield* Effect.forEach(["hangs", "redirects", "endless"], (path) => addWebhook(tenantId, { url: `${receiver.url}/${path}`, types: ["kiln.compose.requested"] }))
      yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      const composeId = yield* live(tenantId)
      yield* times(receiver, typesOfLife.length)
      assert.deepStrictEqual(firstOf(receiver.got(), composeId), typesOfLife)
      const tried = yield* until(Effect.forEach(dead, ({ webhookId }) => rowsOf(webhookId)), (rows) => rows.every(([row]) => row !== undefined && row.attempts > 0))
      assert.deepStrictEqual(tried.map(([row]) => [row!.state, row!.status, row!.error]), [
        ["waiting", null, "no answer within 1 s"], ["waiting", 307, "redirects are not followed"], ["delivered", 200, null]
      ])
      assert.isBelow(tried[2]![0]!.excerpt!.length, 2000)
      assert.deepStrictEqual(receiver.got("/led"), [])
    }))

  it.effect("given a key that is rotated, then for a while both sign, and then the new one alone", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      const { key, webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/`, types: ["kiln.compose.requested"] })
      const rotate = Effect.fnUntraced(function*(forMs: number) {
        const made = newKey()
        yield* command(tenantId, RotateWebhookKey.make({ webhookId, key: yield* (yield* Sealer).seal(tenantId, made), oldUntil: Millis.make(Date.now() + forMs) }))
        return made
      })
      yield* live(tenantId)
      yield* times(receiver, 1)
      const second = yield* rotate(60_000)
      yield* live(tenantId)
      yield* times(receiver, 2)
      const third = yield* rotate(0)
      yield* live(tenantId)
      yield* times(receiver, 3)
      const signers = receiver.got().map((each) => [key, second, third].map((one) => each.isSignedBy(one)))
      assert.deepStrictEqual(signers, [[true, false, false], [true, true, false], [false, false, true]])
    }))

  it.effect("given what was asked for by hand: a test, one delivery again, all since a time, all after a place; then just these come", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/`, types: ["kiln.compose.*"] })
      yield* command(tenantId, TestWebhook.make({ webhookId }))
      yield* times(receiver, 1)
      assert.strictEqual(receiver.got()[0]!.event.type, "kiln.webhook.test")
      const [one, two] = [yield* live(tenantId), yield* live(tenantId)]
      yield* settled(webhookId, "delivered", 5)
      const requested = receiver.got().find(({ event }) => event.data.compose_id === one)!
      yield* command(tenantId, AskRedelivery.make({ webhookId, delivery: requested.id }))
      yield* times(receiver, 6)
      assert.strictEqual(receiver.got()[5]!.id, requested.id)
      yield* settled(webhookId, "delivered", 5)
      const [stream, sequence] = requested.event.kilnposition.split(":")
      yield* command(tenantId, AskReplay.make({ webhookId, after: { stream: stream!, sequence: Number(sequence) } }))
      yield* times(receiver, 9)
      const again = receiver.got().slice(6)
      assert.deepStrictEqual([firstOf(again, one), firstOf(again, two), again.length], [["kiln.compose.succeeded"], ["kiln.compose.requested", "kiln.compose.succeeded"], 3])
      yield* settled(webhookId, "delivered", 5)
      yield* command(tenantId, AskReplay.make({ webhookId, since: Millis.make(0) }))
      yield* times(receiver, 13)
      assert.deepStrictEqual(ids(receiver.got().slice(9)), ids(receiver.got().slice(1, 5)))
    }))

  it.effect("given an endpoint that takes nothing for longer than allowed, then deliveries are parked, it is disabled, another hears of that, and nothing more is sent until it is enabled", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver(({ path }, response) => void response.writeHead(path === "/dead" ? 500 : 200).end("no"))
      yield* startWebhooks({ config: { retries: { ...hasty, forMs: 400, disableAfterMs: 1200 } } })
      const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/dead`, types: ["kiln.compose.*"] })
      yield* addWebhook(tenantId, { url: `${receiver.url}/`, types: ["kiln.webhook.*"] })
      yield* live(tenantId)
      const parked = yield* settled(webhookId, "parked", 2)
      assert.deepInclude(parked[0]!, { status: 500, excerpt: "no" })
      yield* until(Effect.gen(function*() {
        if (receiver.got().length === 0) yield* live(tenantId)
      }), () => receiver.got().length > 0)
      const [notice] = receiver.got()
      assert.deepInclude({ ...notice!.event.data }, { webhook_id: webhookId, because: "failing", last_error: "answered 500" })
      yield* until(rowsOf(webhookId), (rows) => rows.every(({ state }) => state === "parked"))
      const before = receiver.got("/dead").length
      receiver.state.behaviour = answering(200)
      const missed = yield* live(tenantId)
      yield* command(tenantId, EnableWebhook.make({ webhookId }))
      const told = yield* live(tenantId)
      yield* times(receiver, before + 2, "/dead")
      const came = receiver.got("/dead").slice(before)
      assert.deepStrictEqual([firstOf(came, missed), firstOf(came, told)], [[], ["kiln.compose.requested", "kiln.compose.succeeded"]])
    }))

  it.effect("given an endpoint that says it is gone, or one that is disabled or removed by hand, then nothing is sent there", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver(({ path }, response) => void response.writeHead(path === "/gone" ? 410 : 200).end())
      yield* startWebhooks()
      const types = ["kiln.compose.requested"] as const
      const [gone, off, removed] = [
        yield* addWebhook(tenantId, { url: `${receiver.url}/gone`, types }), yield* addWebhook(tenantId, { url: `${receiver.url}/off`, types }),
        yield* addWebhook(tenantId, { url: `${receiver.url}/removed`, types })
      ]
      yield* addWebhook(tenantId, { url: `${receiver.url}/`, types: ["kiln.webhook.*", ...types] })
      yield* live(tenantId)
      yield* times(receiver, 2)
      assert.deepStrictEqual(receiver.got()[1]!.event.data, { webhook_id: gone.webhookId, because: "gone", failing_since: receiver.got()[1]!.event.data["failing_since"], last_error: "answered 410" })
      yield* command(tenantId, DisableWebhook.make({ webhookId: off.webhookId, because: "asked" }))
      yield* command(tenantId, RemoveWebhook.make({ webhookId: removed.webhookId }))
      yield* live(tenantId)
      yield* times(receiver, 4)
      assert.deepStrictEqual(["/gone", "/off", "/removed"].map((path) => receiver.got(path).length), [1, 1, 1])
      yield* until(rowsOf(removed.webhookId), (rows) => rows.length === 0)
    }))

  it.effect("given two processes, then one sends and the other waits, and goes on where the first stopped", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver()
      const first = yield* startWebhooks()
      const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      yield* live(tenantId)
      yield* settled(webhookId, "delivered", 5)
      yield* startWebhooks()
      yield* live(tenantId)
      yield* settled(webhookId, "delivered", 10)
      assert.strictEqual(receiver.got().length, 10)
      yield* first.stop
      const last = yield* live(tenantId)
      yield* settled(webhookId, "delivered", 15)
      assert.deepStrictEqual([firstOf(receiver.got(), last), receiver.got().length], [typesOfLife, 15])
    }))

  it.effect("given more waiting than is kept in memory, when the endpoint is back, then all of it comes, in order", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver(answering(500))
      yield* startWebhooks()
      const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      const composes = yield* Effect.forEach(Array.from({ length: 120 }), () => live(tenantId), { concurrency: 20 })
      yield* settled(webhookId, "waiting", 600)
      receiver.state.behaviour = answering(200)
      const before = receiver.got().length
      yield* settled(webhookId, "delivered", 600)
      const came = receiver.got().slice(before)
      for (const composeId of composes) assert.deepStrictEqual(firstOf(came, composeId), typesOfLife)
    }))

  it.effect("given NATS that is killed while things happen, then nothing is missing afterwards", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      const composeId = newCompose()
      const [first, ...others] = lifeOf(composeId)
      yield* append(tenantId, composeId, [first!])
      yield* times(receiver, 1)
      yield* (yield* TestNats).restart
      yield* Effect.retry(append(tenantId, composeId, others, 1), { times: 20 })
      yield* times(receiver, typesOfLife.length)
      assert.deepStrictEqual(firstOf(receiver.got(), composeId), typesOfLife)
    }))

  it.effect("given deliveries, when their tenant asks, then it is told of them by pages, the latest first, and of endpoints that fail; another tenant is told nothing", () =>
    Effect.gen(function*() {
      const [tenantId, other] = [newTenant(), newTenant()]
      const receiver = yield* webhookReceiver(({ path }, response) => void response.writeHead(path === "/dead" ? 503 : 200).end("as it was said"))
      yield* startWebhooks()
      const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      const dead = yield* addWebhook(tenantId, { url: `${receiver.url}/dead`, types: ["kiln.compose.requested"] })
      const composeId = yield* live(tenantId)
      yield* settled(webhookId, "delivered", typesOfLife.length)
      const log = yield* WebhookLog
      const first = yield* log.list(tenantId, webhookId, { state: "delivered" }, { limit: 2 })
      const rest = yield* log.list(tenantId, webhookId, {}, { limit: 10, before: first.at(-1)!.id })
      assert.deepStrictEqual([...first, ...rest].map(({ type }) => type), typesOfLife.toReversed())
      assert.deepInclude(first[0]!, { state: "delivered", attempts: 1, status: 200, excerpt: "as it was said", subject: `composes/${composeId}` })
      const found = yield* log.find(tenantId, webhookId, first[0]!.occurrence)
      assert.deepInclude(JSON.parse(found!.body) as object, { type: "kiln.compose.succeeded", id: first[0]!.occurrence })
      yield* until(log.failing(tenantId), (failing) => failing.has(dead.webhookId))
      assert.isFalse((yield* log.failing(tenantId)).has(webhookId))
      assert.deepStrictEqual([yield* log.list(other, webhookId, {}, { limit: 10 }), yield* log.find(other, webhookId, first[0]!.occurrence), (yield* log.failing(other)).size], [[], undefined, 0])
      const { read } = yield* TenantRows
      for (const filter of [{}, { state: "parked" } as const]) {
        const plan = yield* read(tenantId, async (sql) => {
          await sql`set local enable_seqscan = off`
          return await deliveryPage(sql, webhookId, filter, { limit: 20, before: 1e9 }, "explain") as unknown as Array<Record<string, string>>
        })
        const text = plan.map((row) => row["QUERY PLAN"]).join("\n")
        assert.match(text, /Index .*webhook_deliveries_(list|states|parked_of)/)
        assert.notMatch(text, /Sort/)
      }
    }))

  it.effect("given secrets, then neither log nor rows have them; given old deliveries, then they are forgotten", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      const { key, webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      yield* live(tenantId)
      yield* settled(webhookId, "delivered", 5)
      const { recorded } = yield* (yield* EventLog).read(webhooksRef(tenantId))
      const { run } = yield* Sql
      const rows = yield* run((sql) => sql`select * from kiln.webhook_deliveries d join kiln.webhook_occurrences o on o.id = d.occurrence where webhook_id = ${webhookId}`)
      assert.notInclude(JSON.stringify([recorded, rows]), key.slice("whsec_".length))
      yield* (yield* WebhookDeliveries).prune(Date.now() + 1000)
      assert.deepStrictEqual([...yield* rowsOf(webhookId)], [])
      const [left] = yield* run((sql) => sql<Array<{ count: number }>>`select count(*)::int as count from kiln.webhook_occurrences where tenant_id = ${tenantId}`)
      assert.strictEqual(left!.count, 0)
    }))
})
