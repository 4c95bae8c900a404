import { randomUUID } from "node:crypto"
import { hostname } from "node:os"
import { Config, Duration, Effect, Layer, Option } from "effect"
import { BlobsJetStream } from "../../infra/jetstream/blobs.ts"
import { DispatchJetStream } from "../../infra/jetstream/dispatch.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { NatsFromEnvironment, natsSettings } from "../../infra/jetstream/from-environment.ts"
import { LeasesJetStream } from "../../infra/jetstream/leases.ts"
import { SnapshotsJetStream } from "../../infra/jetstream/snapshots.ts"
import { StoredFilesJetStream } from "../../infra/jetstream/stored-files.ts"
import { WorkerAdmission } from "../../infra/jetstream/worker-admission.ts"
import { TokensFromEnvironment } from "../../infra/jose/from-environment.ts"
import { AttesterFiles } from "../../infra/keys/attester-files.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import { DemandJetStream } from "../../infra/jetstream/demand.ts"
import { SchedulingAnswersNats } from "../../infra/jetstream/scheduling.ts"
import { ParkedJetStream } from "../../infra/jetstream/parked.ts"
import { PeriodsJetStream } from "../../infra/jetstream/periods.ts"
import { policyFileFromEnvironment } from "../../infra/policies/policy-file.ts"
import { lastDeadlines } from "../deadlines.ts"
import { runProcess } from "../process.ts"
import { runScheduler } from "./scheduler.ts"

const settings = Config.all({
  keys: Config.String("KILN_KEYS"),
  instance: Config.String("KILN_INSTANCE").pipe(Config.withDefault(`${hostname()}-${randomUUID()}`)),
  lostAfter: Config.Duration("KILN_LOST_AFTER").pipe(Config.withDefault("30 seconds")),
  lastDeadlines,
  retentionEvery: Config.Duration("KILN_RETENTION_EVERY").pipe(Config.withDefault("10 minutes")),
  reaperEvery: Config.Duration("KILN_REAPER_EVERY").pipe(Config.withDefault("6 hours")),
  reaperAfter: Config.Duration("KILN_REAPER_AFTER").pipe(Config.withDefault("1 hour")),
  archiveEvery: Config.Duration("KILN_ARCHIVE_EVERY").pipe(Config.withDefault("10 minutes")),
  archiveAfter: Config.Duration("KILN_ARCHIVE_AFTER").pipe(Config.withDefault("7 days")),
  targetWait: Config.Duration("KILN_TARGET_WAIT").pipe(Config.withDefault("30 seconds")),
  publicUrl: Config.option(Config.String("KILN_PUBLIC_URL")),
  signingKey: Config.option(Config.String("KILN_SIGNING_KEY"))
})

const Ports = Layer.unwrap(Effect.gen(function*() {
  const nats = yield* natsSettings
  const { keys, signingKey } = yield* settings
  return Layer.mergeAll(
    EventLogJetStream(nats), BlobsJetStream(nats), StoredFilesJetStream(nats), SnapshotsJetStream(nats), LeasesJetStream(nats), DispatchJetStream(nats),
    DemandJetStream(nats), ParkedJetStream(nats), PeriodsJetStream(nats), SchedulingAnswersNats,
    SealerFiles(keys), AttesterFiles(keys, Option.getOrUndefined(signingKey)), WorkerAdmission("scheduler").pipe(Layer.provide(TokensFromEnvironment))
  )
})).pipe(Layer.provide(NatsFromEnvironment("scheduler")))

const readiness = { ready: false }

runProcess("scheduler", Effect.gen(function*() {
  const { archiveAfter, archiveEvery, lastDeadlines: deadlines, instance, lostAfter, publicUrl, reaperAfter, reaperEvery, retentionEvery, targetWait } = yield* settings
  yield* runScheduler({
    instance, policyFile: yield* policyFileFromEnvironment, lostAfterMs: Duration.toMillis(lostAfter), targetWaitMs: Duration.toMillis(targetWait),
    retentionEveryMs: Duration.toMillis(retentionEvery), reaperEveryMs: Duration.toMillis(reaperEvery), reaperAfterMs: Duration.toMillis(reaperAfter),
    periods: { everyMs: Duration.toMillis(archiveEvery), graceMs: Duration.toMillis(archiveAfter) },
    deadlineMs: (kind) => deadlines[kind], onReady: Effect.sync(() => void (readiness.ready = true)),
    ...(Option.isSome(publicUrl) && { publicUrl: publicUrl.value })
  })
}).pipe(Effect.provide([Ports, AdminServer(readiness)])))
