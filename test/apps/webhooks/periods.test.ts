import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { archiveStream } from "../../../apps/scheduler/keep-periods.ts"
import { Millis } from "../../../domain/ids.ts"
import { Periods } from "../../../domain/ports/periods.ts"
import { AskReplay } from "../../../domain/webhooks.ts"
import { newTenant, until } from "../../support/small-stack.ts"
import { firstOf, webhookReceiver } from "../../support/webhook-receiver.ts"
import { addWebhook, append, command, lifeOf, live, newCompose, startWebhooks, typesOfLife, webhooksInPeriods } from "../../support/webhooks.ts"

/** Into the archive, and off the server. */
const drop = Effect.fnUntraced(function*(name: string) {
  const find = Effect.flatMap(Periods, ({ list }) => Effect.map(list, (all) => all.find(({ stream }) => stream === name)!))
  const of = yield* find
  yield* Effect.sleep(Math.max(0, of.period!.to - Date.now()))
  yield* archiveStream(of)
  assert.strictEqual((yield* find).state, "dropped")
})

layer(webhooksInPeriods(2000), { excludeTestServices: true })("webhooks of a log with periods", (it) => {
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

  it.effect("given a webhook whose tenant has but a part of a period that is sealed, when a compose of it goes on later, then that is told after all that was before", () =>
    Effect.gen(function*() {
      const [tenantId, other] = [newTenant(), newTenant()]
      const receiver = yield* webhookReceiver()
      yield* startWebhooks()
      yield* addWebhook(tenantId, { url: `${receiver.url}/` })
      const composeId = newCompose()
      const [first, second, ...rest] = lifeOf(composeId)
      yield* append(tenantId, composeId, [first!, second!])
      yield* live(other)
      yield* until(Effect.sync(() => receiver.got().length), (count) => count === 2)
      const stream = receiver.got()[0]!.event.kilnposition.split(":")[0]!
      const periods = yield* Periods
      yield* periods.seal(stream)
      yield* append(tenantId, composeId, rest, 2)
      yield* until(Effect.sync(() => receiver.got().length), (count) => count >= typesOfLife.length)
      assert.deepStrictEqual(receiver.got().map(({ event }) => event.type), typesOfLife)
      assert.deepStrictEqual(receiver.got().map(({ event }) => event.kilnposition.split(":")[0]), [stream, stream, "EVENTS", "EVENTS", "EVENTS"])
    }))
})
