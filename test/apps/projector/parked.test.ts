import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { Parked } from "../../../domain/ports/parked.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { newTenant, requestSimulated, rowsOf, SmallStack, startProjector, startScheduler, until } from "../../support/small-stack.ts"

layer(SmallStack, { excludeTestServices: true })("an entry that cannot be read", (it) => {
  it.effect("given one in the log, then each that reads the log puts it aside once, and what comes after it is taken in", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startProjector
      const { js } = yield* CoreNats
      const subject = `events.acme.compose.${v7()}.1`
      yield* Effect.promise(() => js.publish(subject, "{\"schema\": 1, \"events\": \"gone\"}"))
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId)
      const rows = yield* until(Effect.orElseSucceed(rowsOf("composes", tenantId), () => []), ({ length }) => length > 0)
      assert.strictEqual(rows[0]!["compose_id"], id)
      const items = yield* until(Effect.flatMap(Parked, (parked) => parked.list), ({ length }) => length >= 5)
      assert.deepStrictEqual(items.map(({ by }) => by).toSorted(), ["projector audit", "projector composes", "projector images", "projector jobs", "scheduler"])
      for (const { reason, what, where } of items) {
        assert.strictEqual(what, "event")
        assert.match(where, new RegExp(`^EVENTS \\d+ ${subject}$`))
        assert.notStrictEqual(reason, "")
      }
    }))
})
