import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { Config, Duration, Effect, Layer } from "effect"
import { BlobsJetStream } from "../../infra/jetstream/blobs.ts"
import { DispatchJetStream } from "../../infra/jetstream/dispatch.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { NatsFromEnvironment, natsSettings } from "../../infra/jetstream/from-environment.ts"
import { LeasesJetStream } from "../../infra/jetstream/leases.ts"
import { SnapshotsJetStream } from "../../infra/jetstream/snapshots.ts"
import { WorkerAdmission } from "../../infra/jetstream/worker-admission.ts"
import { TokensFromEnvironment } from "../../infra/jose/from-environment.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import type { JobKind } from "../../domain/job.ts"
import { DemandJetStream } from "../../infra/jetstream/demand.ts"
import { SchedulingAnswersNats } from "../../infra/jetstream/scheduling.ts"
import { ParkedJetStream } from "../../infra/jetstream/parked.ts"
import { policyFileFromEnvironment } from "../../infra/policies/policy-file.ts"
import { runProcess } from "../process.ts"
import { runScheduler } from "./scheduler.ts"

const settings = Config.all({
  keys: Config.String("KILN_KEYS"),
  instance: Config.String("KILN_INSTANCE").pipe(Config.withDefault(`${hostname()}-${randomUUID()}`)),
  lostAfter: Config.Duration("KILN_LOST_AFTER").pipe(Config.withDefault("30 seconds")),
  targetWait: Config.Duration("KILN_TARGET_WAIT").pipe(Config.withDefault("30 seconds"))
})

/** A worker ends its attempts by itself a little earlier; this is for one that cannot. */
const minutes: Record<JobKind, number> = { resolve: 12, build: 62, test: 47, upload: 62 }

const Ports = Layer.unwrap(Effect.gen(function*() {
  const nats = yield* natsSettings
  const { keys } = yield* settings
  return Layer.mergeAll(
    EventLogJetStream(nats), BlobsJetStream(nats), SnapshotsJetStream(nats), LeasesJetStream(nats), DispatchJetStream(nats),
    DemandJetStream(nats), ParkedJetStream(nats), SchedulingAnswersNats,
    SealerFiles(keys), WorkerAdmission("scheduler").pipe(Layer.provide(TokensFromEnvironment))
  )
})).pipe(Layer.provide(NatsFromEnvironment("scheduler")))

const readiness = { ready: false }

runProcess("scheduler", Effect.gen(function*() {
  const { instance, lostAfter, targetWait } = yield* settings
  yield* runScheduler({
    instance, policyFile: yield* policyFileFromEnvironment, lostAfterMs: Duration.toMillis(lostAfter), targetWaitMs: Duration.toMillis(targetWait),
    deadlineMs: (kind) => minutes[kind] * 60_000, onReady: Effect.sync(() => void (readiness.ready = true))
  })
}).pipe(Effect.provide([Ports, AdminServer(readiness)])))
