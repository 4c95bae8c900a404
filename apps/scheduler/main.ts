import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { Config, Duration, Effect, Layer } from "effect"
import { BlobsJetStream } from "../../infra/jetstream/blobs.ts"
import { DispatchJetStream } from "../../infra/jetstream/dispatch.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { NatsFromEnvironment, natsSettings } from "../../infra/jetstream/from-environment.ts"
import { LeasesJetStream } from "../../infra/jetstream/leases.ts"
import { SnapshotsJetStream } from "../../infra/jetstream/snapshots.ts"
import { defaultPool, WorkerAdmission } from "../../infra/jetstream/worker-admission.ts"
import { TokensFromEnvironment } from "../../infra/jose/from-environment.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import { runProcess } from "../process.ts"
import { runScheduler } from "./scheduler.ts"

const settings = Config.all({
  keys: Config.String("KILN_KEYS"),
  instance: Config.String("KILN_INSTANCE").pipe(Config.withDefault(`${hostname()}-${randomUUID()}`)),
  lostAfter: Config.Duration("KILN_LOST_AFTER").pipe(Config.withDefault("30 seconds"))
})

const Ports = Layer.unwrap(Effect.gen(function*() {
  const nats = yield* natsSettings
  const { keys } = yield* settings
  return Layer.mergeAll(
    EventLogJetStream(nats), BlobsJetStream(nats), SnapshotsJetStream(nats), LeasesJetStream(nats), DispatchJetStream(nats),
    SealerFiles(keys), WorkerAdmission("scheduler").pipe(Layer.provide(TokensFromEnvironment))
  )
})).pipe(Layer.provide(NatsFromEnvironment("scheduler")))

const readiness = { ready: false }

runProcess("scheduler", Effect.gen(function*() {
  const { instance, lostAfter } = yield* settings
  yield* runScheduler({ instance, poolOf: () => defaultPool, lostAfterMs: Duration.toMillis(lostAfter), onReady: Effect.sync(() => void (readiness.ready = true)) })
}).pipe(Effect.provide([Ports, AdminServer(readiness)])))
