import { assert, layer } from "@effect/vitest"
import { Effect, Scope } from "effect"
import { newTenant, until } from "../../support/small-stack.ts"
import { firstOf, webhookReceiver } from "../../support/webhook-receiver.ts"
import { addWebhook, live, startWebhooksProcess, typesOfLife, WebhooksStack } from "../../support/webhooks.ts"

layer(WebhooksStack, { excludeTestServices: true })("the process of webhooks", (it) => {
  it.effect("given kill -9 again and again while it sends, then no event of a compose is missing, and their order is kept", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      // So slow that there is always something on its way.
      const receiver = yield* webhookReceiver((_, response) => void setTimeout(() => response.end(), 5))
      yield* addWebhook(tenantId, { url: `${receiver.url}/one` })
      yield* addWebhook(tenantId, { url: `${receiver.url}/other` })
      const scope = yield* Effect.scope
      const start = Scope.provide(startWebhooksProcess, scope)
      let child = yield* start
      const composes: Array<string> = []
      for (let round = 0; round < 3; round++) {
        const before = receiver.state.got.length
        composes.push(...yield* Effect.forEach(Array.from({ length: 25 }), () => live(tenantId), { concurrency: 10 }))
        yield* until(Effect.sync(() => receiver.state.got.length), (got) => got >= before + 20)
        yield* child.signal("SIGKILL")
        yield* child.exited
        child = yield* start
      }
      const toldOfAll = (path: string) => composes.every((composeId) => firstOf(receiver.got(path), composeId).length === typesOfLife.length)
      yield* until(Effect.sync(() => toldOfAll("/one") && toldOfAll("/other")), (all) => all)
      for (const path of ["/one", "/other"]) for (const composeId of composes) assert.deepStrictEqual(firstOf(receiver.got(path), composeId), typesOfLife)
      const distinct = new Set(receiver.state.got.map(({ id, path }) => `${path} ${id}`))
      assert.strictEqual(distinct.size, 2 * composes.length * typesOfLife.length, "what came twice came under the same id")
    }))
})
