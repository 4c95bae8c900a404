/** What is parked, tried again and forgotten one by one and all at once: over a real NATS and a real Postgres, and a gateway. */
import { assert, layer } from "@effect/vitest"
import { Context, Effect, Layer, Stream } from "effect"
import { runProjector } from "../../../apps/projector/projector.ts"
import { Millis, type TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Parked, type ParkedItem } from "../../../domain/ports/parked.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { DisableWebhook, EnableWebhook, TestWebhook } from "../../../domain/webhooks.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { TenantRows, TenantRowsLive } from "../../../infra/postgres/tenant-rows.ts"
import { WebhookDeliveriesPostgres } from "../../../infra/postgres/webhook-deliveries-postgres.ts"
import { parkedPage, WebhookLogPostgres } from "../../../infra/postgres/webhook-log-postgres.ts"
import { composeHistory } from "../../../projections/compose-history.ts"
import type { Projection } from "../../../projections/projection.ts"
import { WebhookLog } from "../../../projections/webhook-log.ts"
import { newTenant, requestSimulated, rowsOf, SmallStack, until } from "../../support/small-stack.ts"
import { answering, webhookReceiver } from "../../support/webhook-receiver.ts"
import { addWebhook, command, live, startWebhooks } from "../../support/webhooks.ts"
import { openGateway } from "../gateway/harness.ts"
import { kiln } from "./kiln-command.ts"

process.env["KILN_NATS_CORE_URL"] = "nats://of.the.test"
process.env["KILN_POSTGRES_URL"] = "postgres://of.the.test"

const Stack = Layer.mergeAll(WebhookDeliveriesPostgres, WebhookLogPostgres).pipe(Layer.provideMerge(TenantRowsLive), Layer.provideMerge(SmallStack))
type Ports = Layer.Success<typeof Stack>

const here = (...args: ReadonlyArray<string>) =>
  Effect.flatMap(Effect.context<Ports>(), (ports) =>
    Effect.promise(() => kiln(args, { backends: Layer.succeedContext(ports as Context.Context<any>), columns: 300 })))

/** A gateway over the log, what is parked and the deliveries of the test. */
const talking = Effect.gen(function*() {
  const ports = yield* Effect.context<Ports>()
  const own = Context.empty().pipe(
    Context.add(EventLog, Context.get(ports, EventLog)), Context.add(Parked, Context.get(ports, Parked)), Context.add(WebhookLog, Context.get(ports, WebhookLog)))
  const gateway = yield* Effect.acquireRelease(
    Effect.promise(() => openGateway({}, Layer.succeedContext(own) as Layer.Layer<never>)), (gateway) => Effect.promise(() => gateway.close()))
  const token = yield* Effect.promise(() => gateway.token({ tenant: "default", role: "operator", subject: "olga" }))
  return (...args: ReadonlyArray<string>) => Effect.promise(() => kiln(["--url", gateway.url, "--token", token, ...args], { columns: 300 }))
})

interface Listed {
  readonly id: string
  readonly what: string
  readonly tenant?: string
  readonly where: string
}
const listed = (run: Effect.Success<typeof talking>, ...args: ReadonlyArray<string>) =>
  Effect.map(run("parked", "list", "--json", ...args), ({ out }) => JSON.parse(out) as ReadonlyArray<Listed>)

const eventsOf = (tenantId: TenantId, composeId: string) =>
  Effect.flatMap(EventLog, (log) => log.read(composeRef(tenantId, composeId as never))).pipe(Effect.map(({ recorded }) => recorded.flatMap(({ events }) => events.map(({ _tag }) => _tag))))

/** What was done to a tenant's things, in the words of the audit. */
const operationsOf = (tenantId: TenantId) =>
  Effect.flatMap(EventLog, (log) => Effect.flatMap(log.head("EVENTS"), (upTo) => Stream.runCollect(log.scan("EVENTS", { after: 0, upTo, tenantId })))).pipe(
    Effect.map((entries) => entries.flatMap((entry) => entry._tag === "Recorded" && entry.aggregate === "operation" ? entry.events : [])),
    Effect.map((events) => events.flatMap((event) => event._tag === "OperationBegun" ? [`${event.operation}: ${event.on}`] : [])))

const composes = composeHistory as unknown as Projection

layer(Stack, { excludeTestServices: true, timeout: "60 seconds" })("what is parked", (it) => {
  it.effect("given aggregates of three tenants that a read model has put aside, then one is taken in by its id, those of a tenant by its name, and the rest stays", () =>
    Effect.gen(function*() {
      const tenants = [newTenant(), newTenant(), newTenant()]
      const faulty: Projection = {
        ...composes,
        evolve: (row, happened) => {
          if (tenants.includes(happened.recorded.tenantId)) throw new Error("a fault of ours")
          return composes.evolve(row, happened)
        }
      }
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(runProjector([faulty]))
        for (const tenantId of tenants) yield* requestSimulated(tenantId)
        yield* until(Effect.flatMap(Parked, ({ list }) => list), (items) => items.length >= 3)
      }))
      const run = yield* talking
      const [one, two, three] = tenants as [TenantId, TenantId, TenantId]
      const [item, ...others] = yield* listed(run, "--tenant", one)
      assert.deepStrictEqual(others, [])
      const wrong = `${item!.id.slice(0, -1)}${item!.id.endsWith("0") ? "1" : "0"}`
      assert.deepInclude(yield* here("parked", "retry", wrong), { code: 4, err: `nothing is parked as ${wrong}; there is ${item!.id}\n` })
      assert.deepInclude(yield* here("parked", "retry", item!.id), { code: 0, out: "1 of 1 taken in\n" })
      const count = (tenantId: TenantId) => Effect.map(rowsOf("composes", tenantId), ({ length }) => length)
      assert.deepStrictEqual(yield* Effect.forEach(tenants, count), [1, 0, 0])
      assert.deepInclude(yield* here("parked", "retry", "--tenant", two, "--json"), { code: 0, out: `${JSON.stringify({ taken_in: 1, still_parked: [] }, undefined, 2)}\n` })
      assert.deepStrictEqual(yield* Effect.forEach(tenants, count), [1, 1, 0])
      assert.deepStrictEqual((yield* listed(run, "--what", "event")).map(({ tenant }) => tenant), [three])
      assert.deepStrictEqual((yield* operationsOf(one)).map((words) => words.split(" EVENTS")[0]), ["parked-retry: event of projector composes:"])
      assert.strictEqual((yield* here("parked", "retry", item!.id, "--tenant", one)).code, 2)
      assert.strictEqual((yield* here("parked", "retry", "--what", "job", "--projection", "composes")).code, 2)
    }))

  it.effect("given jobs that were given up, then a retry by id queues that job again and forgets it, and one whose compose has ended well says so and stays", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const run = yield* talking
      const parkJob = (composeId: string, more: Partial<ParkedItem> = {}) => Effect.flatMap(Parked, (parked) =>
        parked.park({ what: "job", by: "scheduler", where: `${composeId}/0-build`, reason: "never begun", tenantId, composeId, at: Millis.make(Date.now()), ...more }))
      const [failed, also, well] = [yield* live(tenantId, { fails: true }), yield* live(tenantId, { fails: true }), yield* live(tenantId)]
      yield* parkJob(failed)
      yield* parkJob(also, { where: "jobs.default.w1" })
      yield* parkJob(well)
      yield* parkJob(well, { what: "report", where: "reports.w1" })
      const items = yield* listed(run, "--tenant", tenantId)
      const idOf = (where: string) => items.find((item) => item.where === where)!.id
      assert.strictEqual((yield* here("parked", "retry", idOf(`${failed}/0-build`))).code, 0)
      assert.deepStrictEqual((yield* eventsOf(tenantId, failed)).slice(-2), ["ComposeReopened", "JobQueued"])
      const all = yield* here("parked", "retry", "--what", "job", "--tenant", tenantId)
      assert.deepInclude(all, { code: 1, out: `job ${idOf(`${well}/0-build`)} stays parked: its compose has succeeded, or was canceled: drop it\n1 of 2 taken in, or begun again\n` })
      assert.deepStrictEqual((yield* eventsOf(tenantId, also)).slice(-2), ["ComposeReopened", "JobQueued"])
      assert.match((yield* here("parked", "retry", idOf("reports.w1"))).out, /stays parked: a report is not kept/)
      assert.deepStrictEqual((yield* listed(run, "--tenant", tenantId)).map(({ what }) => what).toSorted(), ["job", "report"])
      assert.strictEqual((yield* run("parked", "drop", "--tenant", tenantId)).code, 2)
      assert.strictEqual((yield* run("parked", "drop", "--yes")).code, 2)
      assert.strictEqual((yield* run("parked", "drop", idOf("reports.w1"), "--all", "--yes")).code, 2)
      assert.deepInclude(yield* run("parked", "drop", "0000", idOf("reports.w1"), "--yes"), { code: 4, out: `${idOf("reports.w1")} is forgotten\n`, err: "nothing is parked as 0000\n" })
      assert.deepInclude(yield* run("parked", "drop", "--what", "job", "--tenant", tenantId, "--yes"), { code: 0, out: "1 is forgotten\n" })
      assert.deepStrictEqual(yield* listed(run, "--tenant", tenantId), [])
      assert.include(yield* operationsOf(tenantId), `parked-drop: all that is parked as job of tenant ${tenantId}`)
    }))

  it.effect("given deliveries that webhooks have given up, then they are listed, and sent again or forgotten one by one and all at once", () =>
    Effect.gen(function*() {
      const [tenantId, other] = [newTenant(), newTenant()]
      const run = yield* talking
      const receiver = yield* webhookReceiver(answering(500, "no"))
      yield* startWebhooks()
      const webhooks = yield* Effect.forEach([tenantId, other], (of) =>
        Effect.map(addWebhook(of, { url: `${receiver.url}/${of}`, types: ["kiln.compose.requested"] }), ({ webhookId }) => ({ of, webhookId })))
      const states = (webhookId: string) => Effect.flatMap(Sql, ({ run: query }) => query((sql) => sql<Array<{ state: string }>>`
        select state from kiln.webhook_deliveries where webhook_id = ${webhookId} order by id`)).pipe(Effect.map((rows) => rows.map(({ state }) => state)))
      for (const { of, webhookId } of webhooks) {
        const composesOf = yield* Effect.forEach([1, 2, 3, 4], () => live(of))
        yield* until(states(webhookId), (all) => all.length === composesOf.length)
        yield* command(of, DisableWebhook.make({ webhookId, because: "asked" }))
        yield* until(states(webhookId), (all) => all.every((state) => state === "parked"))
      }
      const [{ webhookId }] = webhooks as [typeof webhooks[number]]
      // What was sent to try an endpoint is nobody's business here.
      yield* command(tenantId, TestWebhook.make({ webhookId }))
      yield* until(states(webhookId), (all) => all.length === 5 && all.every((state) => state === "parked"))
      const items = yield* listed(run, "--what", "delivery", "--tenant", tenantId)
      assert.deepStrictEqual(items.map(({ what, tenant, where }) => [what, tenant, where.split(" ")[0]]), Array.from({ length: 4 }, () => ["delivery", tenantId, webhookId]))
      assert.strictEqual((yield* listed(run)).filter(({ what }) => what === "delivery").length, 8)
      const { read } = yield* TenantRows
      for (const of of [undefined, tenantId]) {
        const plan = yield* read(tenantId, async (sql) => {
          await sql`set local enable_seqscan = off`
          return await parkedPage(sql, { tenantId: of, limit: 1000, before: 1e9 }, "explain") as unknown as Array<Record<string, string>>
        })
        assert.match(plan.map((row) => row["QUERY PLAN"]).join("\n"), /Index .*webhook_deliveries_parked/)
      }
      assert.match((yield* here("parked", "retry", items[0]!.id)).out, /stays parked: webhook \S+ is disabled/)
      receiver.state.behaviour = answering(200)
      for (const each of webhooks) yield* command(each.of, EnableWebhook.make({ webhookId: each.webhookId }))
      assert.deepInclude(yield* here("parked", "retry", items[0]!.id), { code: 0, out: "1 of 1 taken in, or begun again\n" })
      yield* until(states(webhookId), (all) => all.includes("delivered"))
      assert.strictEqual((yield* run("parked", "drop", items[1]!.id, "--yes")).code, 0)
      yield* until(states(webhookId), ({ length }) => length === 4)
      assert.deepInclude(yield* here("parked", "retry", items[1]!.id), { code: 4 })
      assert.strictEqual((yield* here("parked", "retry", "--what", "delivery", "--tenant", tenantId)).code, 0)
      yield* until(states(webhookId), (all) => all.filter((state) => state === "delivered").length === 3)
      assert.deepStrictEqual(yield* states(webhooks[1]!.webhookId), Array.from({ length: 4 }, () => "parked"))
      assert.deepInclude(yield* run("parked", "drop", "--all", "--yes", "--json"), { code: 0 })
      yield* until(listed(run), ({ length }) => length === 0)
    }))
})
