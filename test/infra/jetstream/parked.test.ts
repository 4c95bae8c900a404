import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Millis } from "../../../domain/ids.ts"
import { Parked } from "../../../domain/ports/parked.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { ParkedJetStream } from "../../../infra/jetstream/parked.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"
import { parkedContract } from "../parked.contract.ts"

const Stack = ParkedJetStream({ replicas: 1 }).pipe(Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

layer(Stack, { excludeTestServices: true })("what is parked in JetStream", (it) => {
  it.effect("given nothing was ever put aside, then the list is empty", () =>
    Effect.gen(function*() {
      assert.deepStrictEqual(yield* (yield* Parked).list, [])
    }))

  parkedContract(it)

  it.effect("given something there that cannot be read, then the rest is listed", () =>
    Effect.gen(function*() {
      const parked = yield* Parked
      const { js } = yield* CoreNats
      yield* Effect.promise(() => js.publish("parked.broken", "{}"))
      yield* parked.park({ what: "report", by: "five", where: "worker.default.w1.result", reason: "never taken in", at: Millis.make(1) })
      const all = yield* parked.list
      assert.include(all.map(({ by }) => by), "five")
      assert.notInclude(all.map(({ id }) => id), "broken")
    }))
})
