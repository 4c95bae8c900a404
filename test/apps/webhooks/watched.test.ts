/** Nobody's composes are read but of those who want to be told of them. */
import { assert, layer } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { isOfPeriod } from "../../../domain/periods.ts"
import type { TenantId } from "../../../domain/ids.ts"
import { DisableWebhook, EnableWebhook, RemoveWebhook } from "../../../domain/webhooks.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { newTenant, until } from "../../support/small-stack.ts"
import { firstOf, webhookReceiver } from "../../support/webhook-receiver.ts"
import { addWebhook, append, command, lifeOf, live, newCompose, startWebhooks, startWebhooksProcess, typesOfLife, webhooksInPeriods } from "../../support/webhooks.ts"

/** Of all consumers that the server has of the log: what they ask for, and how much they were given. */
const consumers = Effect.gen(function*() {
  const [{ streams }, { jsm }] = [yield* EventLog, yield* CoreNats]
  const found = yield* Effect.forEach(streams, (stream) => Effect.promise(async () => (await jsm.consumers.list(stream).next()).map(({ config, delivered }) =>
    ({ stream, filters: (config.filter_subjects ?? [config.filter_subject ?? ">"]).toSorted(), given: delivered.consumer_seq }))))
  return found.flat()
})

/** Those of a process that was killed would stay for a minute. */
const forgetConsumers = Effect.gen(function*() {
  const [{ streams }, { jsm }] = [yield* EventLog, yield* CoreNats]
  yield* Effect.promise(async () => {
    for (const stream of streams) for (const { name } of await jsm.consumers.list(stream).next()) await jsm.consumers.delete(stream, name)
  })
})

const subjectsOf = (found: ReadonlyArray<{ readonly stream: string; readonly filters: ReadonlyArray<string> }>, ofPeriod: boolean) =>
  [...new Set(found.filter(({ stream }) => isOfPeriod(stream) === ofPeriod).flatMap(({ filters }) => filters))].toSorted()

/** Until the server is asked for composes of these alone, and no more for those of others. */
const whileWatched = (...tenants: ReadonlyArray<TenantId>) =>
  until(consumers, (found) => {
    const lasting = ["webhooks", ...tenants.flatMap(() => ["compose", "pipeline"])].map((kind, at) => `events.${at === 0 ? "*" : tenants[Math.floor((at - 1) / 2)]}.${kind}.>`)
    const inPeriods = subjectsOf(found, true).map((subject) => subject.slice(subject.indexOf(".") + 1))
    return JSON.stringify(subjectsOf(found, false)) === JSON.stringify(lasting.toSorted()) &&
      new Set(inPeriods).symmetricDifference(new Set(tenants.map((tenantId) => `${tenantId}.compose.>`))).size === 0
  })

const webhookFor = (tenantId: TenantId, url: string) =>
  Effect.acquireRelease(addWebhook(tenantId, { url }), ({ webhookId }) => Effect.ignore(command(tenantId, RemoveWebhook.make({ webhookId }))))

const positions = Effect.flatMap(Sql, ({ run }) => run((sql) => sql<Array<{ stream: string; position: number }>>`select stream, position from kiln.webhook_positions`))

layer(webhooksInPeriods("month"), { excludeTestServices: true })("what the process of webhooks reads", (it) => {
  it.effect("given no webhook, when composes live, then the server has no consumer of composes for it and gives it nothing", () =>
    Effect.gen(function*() {
      yield* startWebhooks()
      yield* whileWatched()
      yield* Effect.forEach(Array.from({ length: 20 }), () => live(newTenant()), { concurrency: 10 })
      const found = yield* consumers
      assert.deepStrictEqual(found, [{ stream: "EVENTS", filters: ["events.*.webhooks.>"], given: 0 }])
      assert.deepStrictEqual([...yield* positions], [])
    }))

  it.effect("given the first webhook, when composes were recorded just before and just after, then it is told of those after, and of all of them", () =>
    Effect.gen(function*() {
      const [tenantId, other] = [newTenant(), newTenant()]
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      yield* whileWatched()
      yield* live(tenantId)
      const halfway = newCompose()
      yield* append(tenantId, halfway, lifeOf(halfway).slice(0, 2))
      yield* webhookFor(tenantId, `${receiver.url}/`)
      const [after] = yield* Effect.all([live(tenantId), live(other), append(tenantId, halfway, lifeOf(halfway).slice(2), 2)], { concurrency: "unbounded" })
      yield* whileWatched(tenantId)
      const last = yield* live(tenantId)
      yield* until(Effect.sync(() => receiver.got().length), (count) => count >= 13)
      assert.deepStrictEqual([firstOf(receiver.got(), after), firstOf(receiver.got(), halfway), firstOf(receiver.got(), last)], [typesOfLife, typesOfLife.slice(2), typesOfLife])
      assert.strictEqual(receiver.got().length, 13)
    }))

  it.effect("given the last webhook removed or disabled, then composes are not read any more; given one again, then it is told from then on, and of nothing before", () =>
    Effect.gen(function*() {
      const [tenantId, other] = [newTenant(), newTenant()]
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      const first = yield* webhookFor(tenantId, `${receiver.url}/first`)
      yield* live(tenantId)
      yield* until(Effect.sync(() => receiver.got("/first").length), (count) => count === 5)
      yield* command(tenantId, RemoveWebhook.make({ webhookId: first.webhookId }))
      yield* whileWatched()
      yield* Effect.forEach([tenantId, tenantId, other], (each) => live(each))
      const { webhookId } = yield* webhookFor(tenantId, `${receiver.url}/second`)
      const between = yield* live(tenantId)
      yield* until(Effect.sync(() => receiver.got("/second").length), (count) => count >= 5)
      yield* command(tenantId, DisableWebhook.make({ webhookId, because: "asked" }))
      yield* whileWatched()
      yield* Effect.forEach([tenantId, tenantId, other], (each) => live(each))
      yield* command(tenantId, EnableWebhook.make({ webhookId }))
      const last = yield* live(tenantId)
      yield* until(Effect.sync(() => receiver.got("/second").length), (count) => count >= 10)
      assert.deepStrictEqual(receiver.got("/second").map(({ event }) => [event.data.compose_id, event.type]), [between, last].flatMap((id) => typesOfLife.map((type) => [id, type])))
      assert.strictEqual(receiver.got("/first").length, 5)
    }))

  it.effect("given the first webhook and kill -9, be it before it is known, at once or once something has arrived, then nothing of what came after it is missing", () =>
    Effect.gen(function*() {
      const receiver = yield* webhookReceiver()
      const start = Scope.provide(startWebhooksProcess, yield* Effect.scope)
      const arrival = (path: string) => until(Effect.sync(() => receiver.got(path).length), (count) => count > 0)
      let child = yield* start
      const kill = Effect.suspend(() => Effect.andThen(Effect.andThen(child.signal("SIGKILL"), child.exited), forgetConsumers))
      for (const moment of ["away", "at once", "arrival"]) {
        const [tenantId, path] = [newTenant(), `/${moment.replace(" ", "-")}`]
        yield* whileWatched()
        yield* live(tenantId)
        if (moment === "away") yield* kill
        const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}${path}` })
        if (moment === "at once") yield* kill
        const composes = yield* Effect.forEach(Array.from({ length: 5 }), () => live(tenantId), { concurrency: 5 })
        if (moment === "arrival") yield* Effect.andThen(arrival(path), kill)
        child = yield* start
        yield* until(Effect.sync(() => composes.every((id) => firstOf(receiver.got(path), id).length === 5)), (all) => all)
        for (const id of composes) assert.deepStrictEqual(firstOf(receiver.got(path), id), typesOfLife)
        assert.strictEqual(new Set(receiver.got(path).map(({ id }) => id)).size, 25, "nothing of before came")
        yield* command(tenantId, RemoveWebhook.make({ webhookId }))
      }
      yield* kill
    }))

  it.effect("given webhooks of more tenants than are named to the server, added while composes of all live, then each is told all of its own from then on", () =>
    Effect.gen(function*() {
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      const tenants = Array.from({ length: 52 }, newTenant)
      const composes = yield* Effect.forEach(tenants, Effect.fnUntraced(function*(tenantId) {
        yield* webhookFor(tenantId, `${receiver.url}/${tenantId}`)
        return yield* live(tenantId)
      }), { concurrency: 8 })
      yield* until(Effect.sync(() => receiver.state.got.length), (count) => count >= tenants.length * 5)
      for (const [at, tenantId] of tenants.entries()) assert.deepStrictEqual(firstOf(receiver.got(`/${tenantId}`), composes[at]!), typesOfLife)
      assert.strictEqual(receiver.state.got.length, tenants.length * 5)
      assert.deepStrictEqual(subjectsOf(yield* consumers, false), ["events.*.compose.>", "events.*.pipeline.>", "events.*.webhooks.>"])
    }))
})
