/** The scaler's own process with Kiln's own workers: they come, are heard, and go. */
import { assert, layer } from "@effect/vitest"
import { Effect, Layer, Redacted, Schedule, Schema, Stream } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Millis, PoolId, WorkerId } from "../../../domain/ids.ts"
import { Demand } from "../../../domain/ports/demand.ts"
import { Dispatch } from "../../../domain/ports/work.ts"
import type { PoolDemand } from "../../../domain/scaling/demand.ts"
import { serveAuthCallout } from "../../../infra/jetstream/auth-callout.ts"
import { DemandJetStream } from "../../../infra/jetstream/demand.ts"
import { DispatchJetStream } from "../../../infra/jetstream/dispatch.ts"
import { connection } from "../../../infra/jetstream/nats.ts"
import { LeasesJetStream } from "../../../infra/jetstream/leases.ts"
import { NatsCredentials } from "../../../infra/nats-server/credentials.ts"
import { dieWithParent, spawnChild } from "../../../infra/process/child.ts"
import { demandOf } from "../../domain/scaling/pools.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { temporaryFolder, TestNats } from "../../support/servers.ts"
import { until } from "../../support/small-stack.ts"

const pool = PoolId.make("default")
const one = { partitions: 1, replicas: 1 }

const Admission = Layer.effectDiscard(Effect.gen(function*() {
  const { credentials: { auth, issuer }, url } = yield* TestNats
  const nc = yield* connection({ servers: url, user: auth.user, pass: Redacted.value(auth.password) })
  yield* serveAuthCallout(nc, { issuer, verify: () => Effect.succeed({ pools: [pool], worker: undefined, expiresAt: Math.floor(Date.now() / 1000) + 3600 }) })
}))
const Stack = Layer.mergeAll(DemandJetStream(one), LeasesJetStream(one), DispatchJetStream(one), Admission).pipe(
  Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer)
)

/** What the scaler's process needs, as files and environment. */
const startScaler = Effect.gen(function*() {
  const { credentials, url } = yield* TestNats
  const dir = yield* temporaryFolder
  const at = (name: string) => join(dir, name)
  writeFileSync(at("credentials.json"), Schema.encodeSync(Schema.fromJsonString(NatsCredentials))(credentials), { mode: 0o600 })
  writeFileSync(at("token"), "pool:default", { mode: 0o600 })
  writeFileSync(at("scaling.json"), JSON.stringify({
    lookEverySeconds: 1,
    pools: [{
      pool, policy: { min: 0, max: 2, slots: { resolve: 1, build: 1, upload: 1 }, cooldownSeconds: 1, scaleInAfterSeconds: 2 },
      driver: { type: "process", work: at("work"), log: at("workers.log"), env: { KILN_WORKER_TOKEN_FILE: at("token"), KILN_CACHE: at("cache"), KILN_ARTIFACTS: at("artifacts") } }
    }]
  }))
  const child = yield* spawnChild({
    argv: dieWithParent("SIGTERM", [process.execPath, join(import.meta.dirname, "../../../apps/scaler/main.ts")]),
    env: {
      PATH: process.env["PATH"], HOME: dir, KILN_NATS_URL: url, KILN_NATS_CREDENTIALS: at("credentials.json"), KILN_SCALING_FILE: at("scaling.json"), KILN_INSTANCE: "test",
      KILN_TEST_DISTRIBUTION: "1"
    },
    output: at("scaler.log"), grace: "20 seconds"
  })
  return { child, log: () => [at("scaler.log"), at("workers.log")].map((file) => existsSync(file) ? readFileSync(file, "utf8") : "").join("\n") }
})

layer(Stack, { excludeTestServices: true })("the scaler's process", (it) => {
  it.effect("starts workers that are heard, lets an idle one go, and ends with all of them", () =>
    Effect.gen(function*() {
      const [demand, dispatch] = [yield* Demand, yield* Dispatch]
      const heard = new Map<string, { readonly since: number; draining: boolean }>()
      yield* dispatch.heartbeats.pipe(Stream.runForEach(({ heartbeat, worker }) => Effect.sync(() => {
        heard.set(worker, { since: heard.get(worker)?.since ?? Date.now(), draining: heartbeat.draining })
      })), Effect.forkScoped)
      let [builds, working] = [2, (name: string) => name !== ""]
      const say = Effect.suspend(() => {
        const at = Millis.make(Date.now())
        const workers: PoolDemand["workers"] = [...heard].map(([name, { draining, since }]) => ({
          worker: WorkerId.make(name), slots: { resolve: 1, build: 1, upload: 1 }, draining, ...(working(name) ? { busy: 1 } : { busy: 0, idleSince: Millis.make(since) })
        }))
        return demand.publish({ ...demandOf(builds, workers, at), pool, at })
      })
      yield* say.pipe(Effect.repeat(Schedule.spaced("200 millis")), Effect.forkScoped)
      const { child, log } = yield* startScaler
      yield* until(Effect.sync(() => heard.size), (size) => size === 2).pipe(Effect.tapError(() => Effect.sync(() => console.error(log()))))
      const [kept] = heard.keys()
      builds = 1
      working = (name) => name === kept
      yield* until(Effect.sync(() => [...heard].filter(([, { draining }]) => draining)), ({ length }) => length === 1)
      assert.isFalse(heard.get(kept!)!.draining)
      yield* child.stop
      yield* until(Effect.sync(() => heard.get(kept!)!.draining), (draining) => draining)
      assert.deepStrictEqual((yield* child.exited).signal, null)
    }))
})
