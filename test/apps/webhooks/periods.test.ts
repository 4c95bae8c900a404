import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { archiveStream } from "../../../apps/scheduler/keep-periods.ts"
import { Millis } from "../../../domain/ids.ts"
import { Periods } from "../../../domain/ports/periods.ts"
import { AskReplay } from "../../../domain/webhooks.ts"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { PeriodsJetStream } from "../../../infra/jetstream/periods.ts"
import { SealerFiles } from "../../../infra/keys/sealer-files.ts"
import { SqlLive } from "../../../infra/postgres/sql.ts"
import { WebhookDeliveriesPostgres } from "../../../infra/postgres/webhook-deliveries-postgres.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestDatabase, TestNats } from "../../support/servers.ts"
import { Folder, newTenant, until } from "../../support/small-stack.ts"
import { firstOf, webhookReceiver } from "../../support/webhook-receiver.ts"
import { addWebhook, command, live, startWebhooks, typesOfLife } from "../../support/webhooks.ts"

/** Composes lie in the streams of their period, webhooks in one that never ends. */
const InPeriods = Layer.unwrap(Effect.gen(function*() {
  const { dir } = yield* Folder
  const log = { partitions: 1, replicas: 1, period: 2000, archive: join(dir, "archive") }
  return Layer.mergeAll(
    EventLogJetStream(log), PeriodsJetStream(log), SealerFiles(join(dir, "keys")),
    WebhookDeliveriesPostgres.pipe(Layer.provideMerge(Layer.unwrap(Effect.map(TestDatabase, (url) => SqlLive(url))))))
})).pipe(Layer.provideMerge(Layer.mergeAll(TestAccounts, Folder.layer, TestDatabase.layer)), Layer.provideMerge(TestNats.layer))

/** Into the archive, and off the server. */
const drop = Effect.fnUntraced(function*(name: string) {
  const find = Effect.flatMap(Periods, ({ list }) => Effect.map(list, (all) => all.find(({ stream }) => stream === name)!))
  const of = yield* find
  yield* Effect.sleep(Math.max(0, of.period!.to - Date.now()))
  yield* archiveStream(of)
  assert.strictEqual((yield* find).state, "dropped")
})

layer(InPeriods, { excludeTestServices: true, timeout: "40 seconds" })("webhooks of a log with periods", (it) => {
  it.effect("given webhooks that are added just before composes are asked for, then each is told all, though another stream tells of it; and again when that is asked for, from the archive too", () =>
    Effect.gen(function*() {
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      const added = yield* Effect.forEach(Array.from({ length: 30 }, (_, at) => at), Effect.fnUntraced(function*(at) {
        const tenantId = newTenant()
        const { webhookId } = yield* addWebhook(tenantId, { url: `${receiver.url}/${at}` })
        return { path: `/${at}`, tenantId, webhookId, composeId: yield* live(tenantId) }
      }), { concurrency: 10 })
      yield* until(Effect.sync(() => receiver.state.got.length), (count) => count >= 30 * typesOfLife.length)
      for (const { composeId, path } of added) assert.deepStrictEqual(firstOf(receiver.got(path), composeId), typesOfLife)
      const [one] = added
      const [first] = receiver.got(one!.path)
      const [stream, sequence] = first!.event.kilnposition.split(":")
      assert.notStrictEqual(stream, "EVENTS")
      yield* command(one!.tenantId, AskReplay.make({ webhookId: one!.webhookId, after: { stream: stream!, sequence: Number(sequence) } }))
      yield* until(Effect.sync(() => receiver.got(one!.path).length), (count) => count >= 9)
      yield* drop(stream!)
      yield* command(one!.tenantId, AskReplay.make({ webhookId: one!.webhookId, since: Millis.make(0) }))
      yield* until(Effect.sync(() => receiver.got(one!.path).length), (count) => count >= 14)
      assert.deepStrictEqual(receiver.got(one!.path).slice(5).map(({ event }) => event.type), [...typesOfLife.slice(1), ...typesOfLife])
    }))
})
