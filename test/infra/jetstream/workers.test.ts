/** What a worker may do in the work account, tried with a worker's own connection. */
import { assert, layer } from "@effect/vitest"
import { jetstreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Effect, Layer, Redacted } from "effect"
import { PoolScope, poolsOf, WorkerId } from "../../../domain/ids.ts"
import { Dispatch } from "../../../domain/ports/work.ts"
import { serveAuthCallout } from "../../../infra/jetstream/auth-callout.ts"
import { DispatchJetStream } from "../../../infra/jetstream/dispatch.ts"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { CoreNats, connection, WorkNats } from "../../../infra/jetstream/nats.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { TestNats } from "../../support/servers.ts"

const Admission = Layer.effectDiscard(Effect.gen(function*() {
  const { url, credentials: { auth, issuer } } = yield* TestNats
  const nc = yield* connection({ servers: url, user: auth.user, pass: Redacted.value(auth.password) })
  yield* serveAuthCallout(nc, {
    issuer,
    verify: (token) => {
      const [pool, worker, seconds] = token.split("/")
      return pool === "" || pool === undefined
        ? Effect.fail({ message: "no token" })
        : Effect.succeed({
          pools: poolsOf(PoolScope.make(pool)),
          worker: worker === undefined || worker === "" ? undefined : WorkerId.make(worker),
          expiresAt: Math.floor(Date.now() / 1000) + Number(seconds ?? 60)
        })
    }
  })
}))

const Stack = Layer.mergeAll(Admission, DispatchJetStream({ replicas: 1 }), EventLogJetStream({ partitions: 1, replicas: 1 })).pipe(
  Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer))

const workerOf = (token: string, name: string) =>
  Effect.acquireRelease(
    Effect.flatMap(TestNats, ({ url }) =>
      Effect.tryPromise(() => connect({ servers: url, name: `${token.split("/")[0]}/${name}`, inboxPrefix: `_INBOX_${token.split("/")[0]}_${name}`, authenticator: () => ({ auth_token: token }), reconnect: false }))),
    (nc) => Effect.promise(() => nc.close()))

/** Whether the server let a publish through: it says a violation on the connection, soon after. */
const violates = (nc: NatsConnection, act: () => void) =>
  Effect.promise(async () => {
    const said = (async () => {
      for await (const status of nc.status()) if (status.type === "error") return true
      return false
    })()
    act()
    await nc.flush()
    return Promise.race([said, new Promise<boolean>((resolve) => setTimeout(() => resolve(false), 150))])
  })

layer(Stack, { excludeTestServices: true })("a worker of pool a", (it) => {
  it.effect("is admitted with a token and refused without one, or under a name that its token does not have", () =>
    Effect.gen(function*() {
      yield* workerOf("a", "w1")
      assert.strictEqual((yield* Effect.exit(workerOf("", "w1")))._tag, "Failure")
      assert.strictEqual((yield* Effect.exit(workerOf("a/w1", "w2")))._tag, "Failure")
      assert.strictEqual((yield* Effect.exit(workerOf("a", "bad.name")))._tag, "Failure")
    }))

  it.effect("loses its connection when its token runs out", () =>
    Effect.gen(function*() {
      const nc = yield* workerOf("a//1", "w1")
      const closed = yield* Effect.promise(() => Promise.race([nc.closed().then(() => "closed"), new Promise((resolve) => setTimeout(resolve, 5000, "open"))]))
      assert.strictEqual(closed, "closed")
    }))

  it.effect("can speak for itself only, and reaches neither the log nor other pools", () =>
    Effect.gen(function*() {
      const nc = yield* workerOf("a", "w1")
      for (const subject of ["events.b.compose.x.1", "worker.b.w1.result", "worker.a.w2.result", "control.b.w1", "jobs.a.w1",
        "queues.CONSUMER.MSG.NEXT.JOBS.b_w1", "$JS.API.CONSUMER.MSG.NEXT.JOBS.a_w1", "$JS.API.STREAM.INFO.JOBS", "$JS.API.CONSUMER.CREATE.JOBS", "$JS.API.STREAM.DELETE.RESULTS",
        "$JS.API.STREAM.MSG.GET.JOBS", "$JS.ACK.JOBS.b_w1.1.1.1.1.1", "_INBOX_b_w1.x"]) {
        assert.isTrue(yield* violates(nc, () => nc.publish(subject)), subject)
      }
      for (const subject of [">", "events.>", "jobs.>", "worker.>", "control.b.*", "_INBOX_b_w1.>", "live.>"]) {
        assert.isTrue(yield* violates(nc, () => void nc.subscribe(subject, { callback: () => {} })), subject)
      }
      assert.isFalse(yield* violates(nc, () => nc.publish("worker.a.w1.heartbeat", "{}")))
      assert.strictEqual(yield* Effect.promise(() => jetstreamManager(nc, { timeout: 300 }).then(() => "manager", () => "refused")), "refused")
    }))

  it.effect("cannot make the server write into the log by asking for a reply there", () =>
    Effect.gen(function*() {
      const { jsm } = yield* CoreNats
      const work = yield* WorkNats
      const nc = yield* workerOf("a", "w1")
      yield* Effect.promise(() => work.js.publish("jobs.a.w1", "a job"))
      yield* Effect.promise(() => work.jsm.consumers.add("JOBS", { durable_name: "a_w1", ack_policy: "explicit", filter_subject: "jobs.a.w1" }))
      nc.publish("queues.CONSUMER.MSG.NEXT.JOBS.a_w1", JSON.stringify({ batch: 1 }), { reply: "events.b.compose.x.1" })
      yield* Effect.promise(() => nc.flush())
      yield* Effect.sleep("100 millis")
      assert.strictEqual((yield* Effect.promise(() => jsm.streams.info("EVENTS"))).state.messages, 0)
    }))

  it.effect("is not answered at an inbox that is not its own", () =>
    Effect.gen(function*() {
      const dispatch = yield* Dispatch
      const work = yield* WorkNats
      const nc = yield* workerOf("a", "w1")
      yield* Effect.forkScoped(dispatch.serveSecrets(() => Effect.succeed(new Map([["users.x.password", "secret"]]))), { startImmediately: true })
      let leaked = 0
      work.nc.subscribe("worker.b.>", { callback: () => void leaked++ })
      yield* Effect.promise(() => work.nc.flush())
      const claim = JSON.stringify({ tenantId: "t", composeId: "01890000-0000-7000-8000-000000000001", jobId: "0-build", attempt: 1, token: "t".repeat(24) })
      nc.publish("worker.a.w1.secrets", claim, { reply: "worker.b.w9.result" })
      const answer = yield* Effect.promise(() => nc.request("worker.a.w1.secrets", claim, { timeout: 2000 }))
      assert.deepStrictEqual(answer.json(), { secrets: { "users.x.password": "secret" } })
      assert.strictEqual(leaked, 0)
    }))
})
