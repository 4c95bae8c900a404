/** Webhooks over a real NATS and a real Postgres, and composes for them to tell of. */
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect, Fiber, Layer, Redacted, Schema } from "effect"
import { v7 } from "uuid"
import { newKey } from "../../apps/webhook-key.ts"
import { executeOnWebhooks } from "../../apps/tenant-webhooks.ts"
import { runWebhooks, type WebhooksConfig } from "../../apps/webhooks/webhooks.ts"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { ComposeFinished, ComposeRequested, JobFailed, JobStarted, JobSucceeded } from "../../domain/compose-events.ts"
import { AttemptToken, ComposeId, JobId, Millis, type TenantId, WorkerId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import type { PeriodLength } from "../../domain/periods.ts"
import { composeRef } from "../../domain/recorded.ts"
import { AddWebhook, type WebhooksCommand } from "../../domain/webhooks.ts"
import { WebhookId, type WebhookSettings } from "../../domain/webhook-settings.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { PeriodsJetStream } from "../../infra/jetstream/periods.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { NatsCredentials } from "../../infra/nats-server/credentials.ts"
import { SqlLive } from "../../infra/postgres/sql.ts"
import { TenantRowsLive } from "../../infra/postgres/tenant-rows.ts"
import { WebhookLogPostgres } from "../../infra/postgres/webhook-log-postgres.ts"
import { WebhookDeliveriesPostgres } from "../../infra/postgres/webhook-deliveries-postgres.ts"
import { spawnChild } from "../../infra/process/child.ts"
import { refusesBut } from "../../infra/webhooks/allowed-networks.ts"
import { type SenderOptions, WebhookSenderHttp } from "../../infra/webhooks/webhook-sender-http.ts"
import { outcomes } from "./composes.ts"
import { TestAccounts } from "./nats-layers.ts"
import { Folder } from "./small-stack.ts"
import { TestDatabase, TestNats } from "./servers.ts"

const servers = Layer.mergeAll(TestAccounts, Folder.layer, TestDatabase.layer).pipe(Layer.provideMerge(TestNats.layer))
const sql = Layer.unwrap(Effect.map(TestDatabase, (url) => SqlLive(url)))

/** Composes lie in the streams of their period, webhooks in one that never ends. */
export const webhooksInPeriods = (period: PeriodLength) =>
  Layer.unwrap(Effect.gen(function*() {
    const { dir } = yield* Folder
    const log = { partitions: 1, replicas: 1, period, archive: join(dir, "archive") }
    return Layer.mergeAll(
      EventLogJetStream(log), PeriodsJetStream(log), SealerFiles(join(dir, "keys")), WebhookDeliveriesPostgres.pipe(Layer.provideMerge(sql)))
  })).pipe(Layer.provideMerge(servers))

export const WebhooksStack = Layer.unwrap(Effect.gen(function*() {
  const { dir } = yield* Folder
  return Layer.mergeAll(
    EventLogJetStream({ partitions: 1, replicas: 1 }), SealerFiles(join(dir, "keys")),
    Layer.mergeAll(WebhookDeliveriesPostgres, WebhookLogPostgres).pipe(Layer.provideMerge(TenantRowsLive), Layer.provideMerge(sql)))
})).pipe(Layer.provideMerge(servers))

const day = 24 * 3_600_000
/** Soon enough for tests. */
export const hasty = { firstMs: 20, longestMs: 200, forMs: 3 * day, disableAfterMs: 5 * day }

export interface Started {
  readonly sender?: Partial<SenderOptions>
  readonly config?: Partial<WebhooksConfig>
}

export const startWebhooks = Effect.fnUntraced(function*({ config, sender }: Started = {}) {
  const refuses = yield* Effect.orDie(refusesBut("127.0.0.0/8"))
  const fiber = yield* Effect.forkScoped(
    runWebhooks({ deployment: "test", keepMs: 30 * day, retries: hasty, ...config }).pipe(
      Effect.provide(WebhookSenderHttp({ refuses, timeoutMs: 5000, ...sender }))))
  return { stop: Fiber.interrupt(fiber) }
})

const main = join(import.meta.dirname, "../../apps/webhooks/main.ts")
const encode = Schema.encodeSync(Schema.fromJsonString(NatsCredentials))

/** The real one, to be killed. */
export const startWebhooksProcess = Effect.gen(function*() {
  const [{ dir }, { credentials, url }] = [yield* Folder, yield* TestNats]
  const file = join(dir, "credentials.json")
  writeFileSync(file, encode(credentials), { mode: 0o600 })
  return yield* spawnChild({
    argv: [process.execPath, main], output: join(dir, "webhooks.log"),
    env: {
      ...process.env, KILN_NATS_URL: url, KILN_NATS_CREDENTIALS: file, KILN_POSTGRES_URL: Redacted.value(yield* TestDatabase), KILN_KEYS: join(dir, "keys"),
      KILN_WEBHOOK_NETWORKS: "127.0.0.1", KILN_ADMIN_PORT: undefined
    }
  })
})

export const command = (tenantId: TenantId, what: WebhooksCommand) =>
  executeOnWebhooks({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } }, what)

export const addWebhook = Effect.fnUntraced(function*(tenantId: TenantId, settings: WebhookSettings) {
  const webhookId = WebhookId.make(v7())
  const key = newKey()
  yield* command(tenantId, AddWebhook.make({ webhookId, settings, key: yield* (yield* Sealer).seal(tenantId, key) }))
  return { webhookId, key }
})

export const newCompose = () => ComposeId.make(v7())
const token = AttemptToken.make("t".repeat(24))
const build = JobId.make("0-build")

interface Kind {
  readonly distribution?: string
  readonly type?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly fails?: boolean
}

/** A whole life, a decision each; the images of a simulated build. */
export const lifeOf = (composeId: ComposeId, { distribution = "debian-13", fails = false, labels, type = "guest-image" }: Kind = {}): ReadonlyArray<ComposeEvent> => [
  ComposeRequested.make({ composeId, builder: "debian", resolves: false, request: { distribution, images: [{ architecture: "x86_64", type }], ...(labels && { labels }) } }),
  JobStarted.make({ composeId, jobId: build, attempt: 1, worker: WorkerId.make("w1"), token }),
  ...fails
    ? [JobFailed.make({ composeId, jobId: build, attempt: 1, failure: { class: "user", message: "no such package" }, final: true }), ComposeFinished.make({ composeId, outcome: "failed" as const })]
    : [
      JobSucceeded.make({ composeId, jobId: build, attempt: 1, outcome: outcomes.build }),
      JobSucceeded.make({ composeId, jobId: JobId.make("0-upload-0"), attempt: 1, outcome: outcomes.upload }),
      ComposeFinished.make({ composeId, outcome: "succeeded" as const })
    ]
]

export const typesOfLife = ["kiln.compose.requested", "kiln.job.started", "kiln.image.built", "kiln.image.delivered", "kiln.compose.succeeded"]

export const append = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId, events: ReadonlyArray<ComposeEvent>, after = 0) {
  const log = yield* EventLog
  for (const [at, event] of events.entries()) {
    yield* log.append(composeRef(tenantId, composeId), after + at, { messageId: `m${after + at}`, at: Millis.make(Date.now()), actor: { kind: "system", id: "test" }, events: [event] })
  }
})

export const live = Effect.fnUntraced(function*(tenantId: TenantId, kind?: Kind) {
  const composeId = newCompose()
  yield* append(tenantId, composeId, lifeOf(composeId, kind))
  return composeId
})

