/** `npm run kiln -- …` */
import { Effect, Layer, Redacted } from "effect"
import { leanHeap } from "../../infra/process/lean-heap.ts"
import { Adapters } from "./adapters.ts"
import { runKiln } from "./run.ts"

const logAt: Adapters["Service"]["log"] = ({ archive, nats, partitions }) =>
  Layer.unwrap(Effect.promise(async () => {
    const [{ EventLogJetStream }, { BlobsJetStream }, { LogCopiesJetStream }, { LogServerJetStream }, { ParkedJetStream }, { PeriodsJetStream }, { CoreNatsLive }] = await Promise.all([
      import("../../infra/jetstream/event-log.ts"), import("../../infra/jetstream/blobs.ts"), import("../../infra/jetstream/log-copies.ts"), import("../../infra/jetstream/log-server.ts"),
      import("../../infra/jetstream/parked.ts"), import("../../infra/jetstream/periods.ts"), import("../../infra/jetstream/nats.ts")
    ])
    const { host, password, username } = new URL(nats)
    const core = CoreNatsLive({ servers: host, user: decodeURIComponent(username), password: decodeURIComponent(password) }, "operator")
    const replicas = Number(process.env["KILN_REPLICAS"] ?? 1)
    const log = { partitions, replicas, archive }
    return Layer.mergeAll(EventLogJetStream(log), PeriodsJetStream(log), LogCopiesJetStream(log), BlobsJetStream({ replicas }), ParkedJetStream({ replicas }), LogServerJetStream).pipe(
      Layer.provide(core))
  }))

const adapters = Adapters.of({
  localIssuer: (keys) =>
    Layer.unwrap(Effect.map(Effect.promise(() => import("../../infra/jose/local-issuer.ts")), ({ LocalIssuerFiles }) => LocalIssuerFiles(keys))),
  imageContents: Layer.unwrap(Effect.map(Effect.promise(() => import("../../infra/contents/image-contents.ts")), ({ ImageContentsTools }) => ImageContentsTools)),
  workerCache: (dir) =>
    Layer.unwrap(Effect.map(Effect.promise(() => import("../../infra/cache/worker-cache.ts")), ({ WorkerCacheFiles }) => WorkerCacheFiles(dir))),
  log: logAt,
  backends: ({ postgres, ...log }) =>
    Layer.merge(logAt(log), Layer.unwrap(Effect.promise(async () => {
      const [{ ProjectionStatesPostgres }, { ProjectionStorePostgres }, { SqlLive }, { TenantRowsLive }, { WebhookLogPostgres }] = await Promise.all([
        import("../../infra/postgres/projection-states-postgres.ts"), import("../../infra/postgres/projection-store-postgres.ts"), import("../../infra/postgres/sql.ts"),
        import("../../infra/postgres/tenant-rows.ts"), import("../../infra/postgres/webhook-log-postgres.ts")
      ])
      return Layer.mergeAll(ProjectionStorePostgres, ProjectionStatesPostgres, WebhookLogPostgres.pipe(Layer.provide(TenantRowsLive))).pipe(Layer.provide(SqlLive(Redacted.make(postgres))))
    })))
})

// `kiln list | head` closes our output early, and means it.
process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1))

leanHeap()
process.exitCode = await runKiln(process.argv.slice(2), adapters)
