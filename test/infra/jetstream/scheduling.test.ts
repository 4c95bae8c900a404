import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { SchedulingAnswersNats, SchedulingNats } from "../../../infra/jetstream/scheduling.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"
import { aScheduler, deskOf, schedulingContract, serving } from "../scheduling.contract.ts"

const Stack = Layer.merge(SchedulingNats, SchedulingAnswersNats).pipe(Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

layer(Stack, { excludeTestServices: true })("asking the scheduler over NATS", (it) => {
  schedulingContract(it)

  it.effect("given more workers than a message holds as text, then all of them are listed", () =>
    Effect.gen(function*() {
      yield* serving(deskOf(aScheduler(1000, "x".repeat(10_000))))
      const all = yield* (yield* Scheduling).workers()
      const { nc } = yield* CoreNats
      assert.isAbove(JSON.stringify(all).length, nc.info!.max_payload)
      assert.strictEqual(all.length, 1000)
    }).pipe(Effect.scoped))

  it.effect("given a question that is none, then nobody answers it and the next one is answered", () =>
    Effect.gen(function*() {
      yield* serving(deskOf(aScheduler(1)))
      const { nc } = yield* CoreNats
      nc.publish("ask.waiting", "{}")
      nc.publish("ask.workers", "no JSON")
      assert.strictEqual((yield* (yield* Scheduling).workers()).length, 1)
    }).pipe(Effect.scoped))
})
