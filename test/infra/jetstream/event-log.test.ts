import { assert, describe, it, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { v7 } from "uuid"
import { ComposeId, TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { partitionOf, streamOf } from "../../../infra/jetstream/streams.ts"
import { decisionOf, requested } from "../../support/composes.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"
import { eventLogContract } from "../event-log.contract.ts"

const logOf = (partitions: number, period?: "month") =>
  EventLogJetStream({ partitions, replicas: 1, ...(period && { period }) }).pipe(Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

layer(logOf(1), { excludeTestServices: true })("the log on JetStream", (it) => {
  eventLogContract(it)

  it.effect("is write-once by the server's own rule, and cannot be deleted from or purged", () =>
    Effect.gen(function*() {
      const { jsm, js } = yield* CoreNats
      const { config } = yield* Effect.promise(() => jsm.streams.info("EVENTS"))
      const { max_msgs_per_subject, discard, discard_new_per_subject, deny_delete, deny_purge, subjects } = config
      assert.deepStrictEqual({ max_msgs_per_subject, discard, discard_new_per_subject, deny_delete, deny_purge, subjects }, {
        max_msgs_per_subject: 1, discard: "new", discard_new_per_subject: true, deny_delete: true, deny_purge: true, subjects: ["events.*.*.*.*"]
      })
      const ref = composeRef(TenantId.make("acme"), ComposeId.make(v7()))
      const log = yield* EventLog
      yield* log.append(ref, 0, decisionOf("m1", requested))
      const rewrite = yield* Effect.promise(() => js.publish(`events.acme.compose.${ref.id}.1`, "other").then(() => "stored", () => "refused"))
      assert.strictEqual(rewrite, "refused")
    }))

  it.effect("comes through a kill -9 of the server with all that it has acknowledged", () =>
    Effect.gen(function*() {
      const log = yield* EventLog
      const { restart } = yield* TestNats
      const ref = composeRef(TenantId.make("acme"), ComposeId.make(v7()))
      for (let after = 0; after < 20; after++) yield* log.append(ref, after, decisionOf(v7(), requested))
      yield* restart
      const { revision } = yield* log.read(ref).pipe(Effect.retry({ times: 100 }))
      assert.strictEqual(revision, 20)
      yield* log.append(ref, 20, decisionOf(v7(), requested)).pipe(Effect.retry({ times: 100 }))
    }))

  it.effect("passes over what it cannot read while following, and says so while reading", () =>
    Effect.gen(function*() {
      const { js } = yield* CoreNats
      const log = yield* EventLog
      const id = ComposeId.make(v7())
      yield* Effect.promise(() => js.publish(`events.acme.compose.${id}.1`, "not json"))
      const error = yield* Effect.flip(log.read(composeRef(TenantId.make("acme"), id)))
      assert.include(error.message, "not a JSON object")
    }))
})

layer(logOf(4), { excludeTestServices: true })("the log in four partitions", (it) => {
  eventLogContract(it)

  it.effect("refuses to open with another number of partitions", () =>
    Effect.gen(function*() {
      const error = yield* Effect.flip(Effect.scoped(Layer.build(EventLogJetStream({ partitions: 2, replicas: 1 }))))
      assert.match(error.message, /4 partitions/)
      const one = yield* Effect.flip(Effect.scoped(Layer.build(EventLogJetStream({ partitions: 1, replicas: 1 }))))
      assert.match(one.message, /another number of partitions/)
    }))
})

layer(logOf(2, "month"), { excludeTestServices: true })("the log in months", (it) => {
  eventLogContract(it)
})

describe("the place of an aggregate", () => {
  it("is a pure function of its tenant and the number of partitions", () => {
    const tenants = Array.from({ length: 1000 }, (_, index) => TenantId.make(`t${index}`))
    const used = new Set(tenants.map((tenant) => partitionOf(tenant, 8)))
    assert.strictEqual(used.size, 8)
    const ref = composeRef(TenantId.make("acme"), ComposeId.make(v7()))
    assert.deepStrictEqual(streamOf(ref, 1), { name: "EVENTS", prefix: "events" })
    assert.deepStrictEqual(streamOf(ref, 8), streamOf({ ...ref, id: v7() }, 8))
  })
})
