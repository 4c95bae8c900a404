import { Config, Duration, Effect, Layer } from "effect"
import { Deployment } from "../../domain/ids.ts"
import { AdminServer } from "../../infra/http/admin-server.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { NatsFromEnvironment, natsSettings } from "../../infra/jetstream/from-environment.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { SqlLive } from "../../infra/postgres/sql.ts"
import { WebhookDeliveriesPostgres } from "../../infra/postgres/webhook-deliveries-postgres.ts"
import { refusedAddresses } from "../../infra/webhooks/allowed-networks.ts"
import { WebhookSenderHttp } from "../../infra/webhooks/webhook-sender-http.ts"
import { usualRetries } from "../../domain/webhook-retry.ts"
import { runProcess } from "../process.ts"
import { runWebhooks } from "./webhooks.ts"

const settings = Config.all({
  deployment: Config.schema(Deployment, "KILN_DEPLOYMENT").pipe(Config.withDefault("kiln")),
  keys: Config.String("KILN_KEYS"),
  postgres: Config.Redacted("KILN_POSTGRES_URL"),
  timeout: Config.Duration("KILN_WEBHOOK_TIMEOUT").pipe(Config.withDefault("15 seconds")),
  retryFor: Config.Duration("KILN_WEBHOOK_RETRY_FOR").pipe(Config.withDefault("3 days")),
  disableAfter: Config.Duration("KILN_WEBHOOK_DISABLE_AFTER").pipe(Config.withDefault("5 days")),
  keep: Config.Duration("KILN_WEBHOOK_KEEP").pipe(Config.withDefault("30 days"))
})

const Ports = Layer.unwrap(Effect.gen(function*() {
  const nats = yield* natsSettings
  const { keys, postgres, timeout } = yield* settings
  return Layer.mergeAll(
    EventLogJetStream(nats).pipe(Layer.provide(NatsFromEnvironment("webhooks"))),
    WebhookDeliveriesPostgres.pipe(Layer.provide(SqlLive(postgres))),
    WebhookSenderHttp({ refuses: yield* refusedAddresses, timeoutMs: Duration.toMillis(timeout) }),
    SealerFiles(keys)
  )
}))

const readiness = { ready: false }

runProcess("webhooks", Effect.gen(function*() {
  const { deployment, disableAfter, keep, retryFor } = yield* settings
  yield* runWebhooks({
    deployment, keepMs: Duration.toMillis(keep),
    retries: { ...usualRetries, forMs: Duration.toMillis(retryFor), disableAfterMs: Duration.toMillis(disableAfter) },
    onReady: Effect.sync(() => void (readiness.ready = true)), onWaiting: Effect.sync(() => void (readiness.ready = false))
  })
}).pipe(Effect.provide([Ports, AdminServer(readiness)])))
