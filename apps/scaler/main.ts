import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { join } from "node:path"
import { Config, Effect, Layer } from "effect"
import { DemandJetStream } from "../../infra/jetstream/demand.ts"
import { NatsFromEnvironment, natsSettings } from "../../infra/jetstream/from-environment.ts"
import { LeasesJetStream } from "../../infra/jetstream/leases.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import { driverOf } from "../../infra/scaling/drivers.ts"
import { readScalingFile } from "../../infra/scaling/scaling-file.ts"
import { runProcess } from "../process.ts"
import { runScaler } from "./scaler.ts"

const settings = Config.all({
  file: Config.String("KILN_SCALING_FILE"),
  instance: Config.String("KILN_INSTANCE").pipe(Config.withDefault(`${hostname()}-${randomUUID()}`))
})

const Ports = Layer.unwrap(Effect.map(natsSettings, (nats) => Layer.mergeAll(DemandJetStream(nats), LeasesJetStream(nats)))).pipe(
  Layer.provide(NatsFromEnvironment("scaler"))
)

const readiness = { ready: false }
const worker: readonly [string, ...Array<string>] = [process.execPath, "--max-semi-space-size=2", join(import.meta.dirname, "../worker/main.ts")]

runProcess("scaler", Effect.gen(function*() {
  const { file, instance } = yield* settings
  const { lookEverySeconds, pools } = yield* readScalingFile(file)
  yield* runScaler({
    instance, lookEverySeconds,
    pools: pools.map(({ driver, policy, pool }) => ({
      pool, policy, driver: driverOf(driver, { argv: worker, env: { ...process.env, KILN_POOL: pool, KILN_SLOTS: JSON.stringify(policy.slots) } })
    })),
    onReady: Effect.sync(() => void (readiness.ready = true))
  })
}).pipe(Effect.provide([Ports, AdminServer(readiness)])))
