import { Config, Duration, Effect, Layer, Option } from "effect"
import { buildersFromEnvironment, offersOf } from "../../infra/builders/builders.ts"
import { debianConfigOf } from "../../infra/debian/config.ts"
import { packageIndexDebian } from "../../infra/debian/package-index.ts"
import { ArtifactsFiles } from "../../infra/files/artifacts-files.ts"
import { ImageTargetsHere } from "../../infra/targets/targets.ts"
import { CredentialSetsFromEnvironment, privateEndpointsAllowed } from "../../infra/credentials/credential-sets-file.ts"
import { BlobsJetStream } from "../../infra/jetstream/blobs.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { NatsFromEnvironment, natsSettings } from "../../infra/jetstream/from-environment.ts"
import { IdempotencyJetStream } from "../../infra/jetstream/idempotency.ts"
import { JobFeedJetStream } from "../../infra/jetstream/job-feed.ts"
import { ParkedJetStream } from "../../infra/jetstream/parked.ts"
import { RateLimitsJetStream } from "../../infra/jetstream/rate-limits.ts"
import { SchedulingNats } from "../../infra/jetstream/scheduling.ts"
import { SnapshotsJetStream } from "../../infra/jetstream/snapshots.ts"
import { StoredFilesJetStream } from "../../infra/jetstream/stored-files.ts"
import { WorkerAdmission } from "../../infra/jetstream/worker-admission.ts"
import { TokensFromEnvironment } from "../../infra/jose/from-environment.ts"
import { AdvisoriesDebian, AdvisoriesNone } from "../../infra/evidence/security-tracker.ts"
import { AttesterFiles } from "../../infra/keys/attester-files.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { SignerFiles } from "../../infra/keys/signer-files.ts"
import { StandingPoliciesFromEnvironment } from "../../infra/policies/policy-file.ts"
import { pricesFromEnvironment } from "../../infra/prices/price-file.ts"
import { ComposeQueriesPostgres } from "../../infra/postgres/compose-queries-postgres.ts"
import { RowsPostgres } from "../../infra/postgres/rows-postgres.ts"
import { RunningJobsPostgres } from "../../infra/postgres/running-jobs-postgres.ts"
import { SqlLive } from "../../infra/postgres/sql.ts"
import { TenantRowsLive } from "../../infra/postgres/tenant-rows.ts"
import { WebhookLogPostgres } from "../../infra/postgres/webhook-log-postgres.ts"
import { refusedAddresses } from "../../infra/webhooks/allowed-networks.ts"
import { Deployment } from "../../domain/ids.ts"
import { runProcess } from "../process.ts"
import { Catalog } from "./catalog.ts"
import { GatewayConfig } from "./config.ts"
import { gatewayOn } from "./gateway.ts"
import { StandingPrices } from "./prices.ts"

/** Connections to Postgres, all for queries. */
const readers = 8

const settings = Config.all({
  host: Config.String("KILN_HOST").pipe(Config.withDefault("127.0.0.1")),
  port: Config.Port("KILN_PORT"),
  publicUrl: Config.option(Config.String("KILN_PUBLIC_URL")),
  linkTtl: Config.Duration("KILN_LINK_TTL").pipe(Config.withDefault("1 hour")),
  operatorTenant: Config.String("KILN_OPERATOR_TENANT").pipe(Config.withDefault("default")),
  privateRepositories: Config.Boolean("KILN_ALLOW_PRIVATE_REPOSITORIES").pipe(Config.withDefault(false)),
  keys: Config.String("KILN_KEYS"),
  signingKey: Config.option(Config.String("KILN_SIGNING_KEY")),
  securityTracker: Config.option(Config.String("KILN_SECURITY_TRACKER")),
  artifacts: Config.String("KILN_ARTIFACTS"),
  cache: Config.String("KILN_CACHE"),
  deployment: Config.schema(Deployment, "KILN_DEPLOYMENT").pipe(Config.withDefault("kiln")),
  postgres: Config.Redacted("KILN_POSTGRES_URL"),
  storedFileBytes: Config.Int("KILN_STORED_FILE_BYTES").pipe(Config.withDefault(64 * 2 ** 20)),
  storedFilesBytes: Config.Int("KILN_STORED_FILES_BYTES").pipe(Config.withDefault(2 ** 30)),
  pipelinesPerTenant: Config.Int("KILN_PIPELINES_PER_TENANT").pipe(Config.withDefault(500)),
  streamsPerTenant: Config.Int("KILN_STREAMS_PER_TENANT").pipe(Config.withDefault(1000))
})

const Gateway = Layer.unwrap(Effect.gen(function*() {
  const {
    host, port, publicUrl, linkTtl, operatorTenant, privateRepositories, keys, artifacts, cache, deployment, postgres, signingKey,
    securityTracker, storedFileBytes, storedFilesBytes, pipelinesPerTenant, streamsPerTenant
  } = yield* settings
  const nats = yield* natsSettings
  const defaults = yield* GatewayConfig
  const onNats = Layer.mergeAll(
    EventLogJetStream(nats), JobFeedJetStream(nats), BlobsJetStream(nats), StoredFilesJetStream(nats), IdempotencyJetStream(nats),
    SnapshotsJetStream(nats), RateLimitsJetStream(nats), ParkedJetStream(nats), SchedulingNats
  )
  const onPostgres = Layer.mergeAll(ComposeQueriesPostgres, RunningJobsPostgres, RowsPostgres, WebhookLogPostgres)
  const ports = Layer.mergeAll(
    onNats.pipe(Layer.provide(NatsFromEnvironment("gateway"))),
    onPostgres.pipe(Layer.provide(TenantRowsLive), Layer.provide(SqlLive(postgres, readers))),
    StandingPoliciesFromEnvironment,
    Layer.effect(StandingPrices, pricesFromEnvironment),
    ArtifactsFiles(artifacts), SealerFiles(keys), SignerFiles(keys), ImageTargetsHere, CredentialSetsFromEnvironment,
    AttesterFiles(keys, Option.getOrUndefined(signingKey)),
    Option.isSome(securityTracker) ? AdvisoriesDebian(securityTracker.value) : AdvisoriesNone,
    packageIndexDebian(debianConfigOf(cache, process.env)),
    Layer.succeed(Catalog, { distributions: offersOf(yield* buildersFromEnvironment) }),
    Layer.succeed(GatewayConfig, {
      ...defaults, deployment, operatorTenant, privateRepositories, storedFileBytes, storedFilesBytes, pipelinesPerTenant, streamsPerTenant,
      privateEndpoints: yield* privateEndpointsAllowed,
      webhookRefuses: yield* refusedAddresses,
      linkTtl: Duration.toMillis(linkTtl),
      ...(Option.isSome(publicUrl) && { publicUrl: publicUrl.value })
    })
  )
  return Layer.merge(gatewayOn({ host, port }).pipe(Layer.provide(ports)), WorkerAdmission("gateway")).pipe(Layer.provide(TokensFromEnvironment))
}))

runProcess("gateway", Layer.launch(Gateway))
