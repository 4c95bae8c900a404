import { assert, describe, it } from "@effect/vitest"
import { type JetStreamClient, jetstream, type JetStreamManager, jetstreamManager } from "@nats-io/jetstream"
import { Context, Effect, Layer } from "effect"
import { readFileSync } from "node:fs"
import { join } from "node:path"
import { Leases } from "../../../domain/ports/lease.ts"
import { BlobsJetStream } from "../../../infra/jetstream/blobs.ts"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { IdempotencyJetStream } from "../../../infra/jetstream/idempotency.ts"
import { LeasesJetStream } from "../../../infra/jetstream/leases.ts"
import { connection, CoreNats, CoreNatsLive, WorkNatsLive, WorkNats } from "../../../infra/jetstream/nats.ts"
import { SnapshotsJetStream } from "../../../infra/jetstream/snapshots.ts"
import { ensureWorkStreams } from "../../../infra/jetstream/streams.ts"
import { threeNodes } from "../../support/nats-cluster.ts"

/** How many copies each stream is to have; 0 where there are fewer. Later ones take a while to be made. */
const streamsOf = (jsm: JetStreamManager, made = true) =>
  Effect.promise(async () => {
    const copies = new Map<string, number>()
    for await (const { cluster, config } of jsm.streams.list()) copies.set(config.name, !made || config.num_replicas === 1 + (cluster?.replicas ?? []).length ? config.num_replicas : 0)
    return copies
  })

const publish = (js: JetStreamClient, id: string) => Effect.promise(() => js.publish("t", id, { msgID: id, timeout: 30_000 }))

describe("a cluster of three nats-servers", () => {
  it.live("keeps every stream, bucket and object store on all three nodes, those in memory too, and shows its secrets to nobody", () =>
    Effect.gen(function*() {
      const { core, dir, work } = yield* threeNodes
      const three = { partitions: 1, replicas: 3 }
      const all = Layer.mergeAll(EventLogJetStream(three), BlobsJetStream(three), SnapshotsJetStream(three), LeasesJetStream(three), IdempotencyJetStream(three),
        Layer.effectDiscard(Effect.flatMap(WorkNats, ({ jsm }) => ensureWorkStreams(jsm, 3))))
      const context = yield* Layer.build(all.pipe(Layer.provideMerge(Layer.mergeAll(CoreNatsLive(core, "test"), WorkNatsLive(work, "test")))))
      const { jsm, workJsm } = yield* Effect.provide(Effect.all({ jsm: Effect.map(CoreNats, ({ jsm }) => jsm), workJsm: Effect.map(WorkNats, ({ jsm }) => jsm) }), context)
      const copies = new Map([...(yield* streamsOf(jsm)), ...(yield* streamsOf(workJsm))])
      assert.includeMembers([...copies.keys()], [
        "EVENTS", "KV_IDEMPOTENCY", "KV_LEASES", "OBJ_blobs", "OBJ_snapshots", "JOBS", "RESULTS", "PROGRESS", "LOGS"
      ])
      assert.deepStrictEqual([...copies].filter(([, count]) => count !== 3), [])
      const [, password] = /password: "([^"]+)"/.exec(readFileSync(join(dir, "nats-1/run/nats-server.conf"), "utf8").split("cluster {")[1]!)!
      for (const node of ["nats-1", "nats-2", "nats-3"]) assert.notInclude(readFileSync(join(dir, node, "nats-server.log"), "utf8"), password!)
    }).pipe(Effect.scoped))

  it.live("takes writes while any one of them is killed, the one that leads and the one we talk to included, and has them all when it is back", () =>
    Effect.gen(function*() {
      const { core, isWhole, signal, start } = yield* threeNodes
      const nc = yield* connection({ servers: core.servers, user: core.user, pass: core.password })
      const [js, jsm] = [jetstream(nc), yield* Effect.promise(() => jetstreamManager(nc))]
      yield* Effect.promise(() => jsm.streams.add({ name: "T", subjects: ["t"], num_replicas: 3 }))
      yield* publish(js, "first")
      const { cluster } = yield* Effect.promise(() => jsm.streams.info("T"))
      yield* signal(cluster!.leader!, "SIGKILL")
      yield* publish(js, "while one is away")
      yield* start(cluster!.leader!)
      yield* isWhole
      const now = (yield* Effect.promise(() => jsm.streams.info("T"))).cluster!
      assert.deepStrictEqual([now.leader, ...now.replicas!.map(({ name }) => name)].sort(), ["nats-1", "nats-2", "nats-3"])
      for (const { current, name, offline } of now.replicas!) assert.deepStrictEqual({ name, current, offline: offline === true }, { name, current: true, offline: false })
      // What was written while it was away is on it: the others alone would be no majority for the next.
      const other = now.replicas!.find(({ name }) => name !== cluster!.leader)!.name
      yield* signal(now.leader === cluster!.leader ? other : now.leader!, "SIGKILL")
      const { seq } = yield* publish(js, "while another one is away")
      assert.strictEqual(seq, 3)
    }).pipe(Effect.scoped))

  it.live("brings streams and buckets that were made for one server to three copies, but for those that the server would not let change", () =>
    Effect.gen(function*() {
      const { core, work } = yield* threeNodes
      const { jsm } = Context.get(yield* Layer.build(WorkNatsLive(work, "test")), WorkNats)
      yield* ensureWorkStreams(jsm, 1)
      yield* ensureWorkStreams(jsm, 3)
      // One that was started without the setting takes nothing away.
      yield* ensureWorkStreams(jsm, 1)
      assert.deepStrictEqual([...yield* streamsOf(jsm, false)].filter(([, count]) => count !== 3).map(([name]) => name).sort(), ["JOBS", "LOGS"])
      yield* Effect.promise(() => Promise.all(["JOBS", "LOGS"].map((name) => jsm.streams.delete(name))))
      yield* ensureWorkStreams(jsm, 3)
      yield* ensureWorkStreams(jsm, 1)
      assert.deepStrictEqual([...yield* streamsOf(jsm, false)].filter(([, count]) => count !== 3), [])
      const build = (replicas: number) =>
        Layer.build(LeasesJetStream({ replicas }).pipe(Layer.provideMerge(CoreNatsLive(core, "test"))))
      yield* build(1)
      const context = yield* build(3)
      const copies = yield* Effect.provide(Effect.flatMap(CoreNats, ({ jsm }) => streamsOf(jsm, false)), context)
      assert.strictEqual(copies.get("KV_LEASES"), 3)
      const held = yield* Effect.provide(Effect.flatMap(Leases, (leases) => leases.acquire("a", "one")), context)
      assert.isTrue(held.isHeld())
    }).pipe(Effect.scoped))
})
