/** Scheduler, worker and projector in one process over a real NATS and a real Postgres; each can be stopped and started. */
import { createHmac, randomBytes } from "node:crypto"
import { join } from "node:path"
import { Context, Duration, Effect, Fiber, Layer, Redacted, Schedule, Scope } from "effect"
import { v7 } from "uuid"
import { execute } from "../../apps/execute.ts"
import { runProjector } from "../../apps/projector/projector.ts"
import { runScheduler } from "../../apps/scheduler/scheduler.ts"
import { runWorker } from "../../apps/worker/worker.ts"
import type { TestRequest } from "../../domain/boot-test.ts"
import { RequestCompose } from "../../domain/compose-commands.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import type { ImageOptions } from "../../domain/image-options.ts"
import { fold } from "../../domain/decider.ts"
import { ComposeId, Millis, PoolId, PoolScope, poolsOf, TenantId, WorkerId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import type { PolicyFile } from "../../domain/policy.ts"
import type { Abilities } from "../../domain/work.ts"
import { DemandJetStream } from "../../infra/jetstream/demand.ts"
import { ParkedJetStream } from "../../infra/jetstream/parked.ts"
import { PeriodsJetStream } from "../../infra/jetstream/periods.ts"
import { ImageBuilders } from "../../domain/ports/image-builder.ts"
import type { Booted, BootOrder } from "../../domain/ports/image-tests.ts"
import { composeRef } from "../../domain/recorded.ts"
import { ImageContentsTools } from "../../infra/contents/image-contents.ts"
import { ArtifactsFiles } from "../../infra/files/artifacts-files.ts"
import { HeldImagesFiles } from "../../infra/files/held-images-files.ts"
import { serveAuthCallout } from "../../infra/jetstream/auth-callout.ts"
import { BlobsJetStream } from "../../infra/jetstream/blobs.ts"
import { DispatchJetStream } from "../../infra/jetstream/dispatch.ts"
import type { Patience } from "../../infra/jetstream/undeliverable.ts"
import { type EventLogConfig, EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { JobFeedJetStream } from "../../infra/jetstream/job-feed.ts"
import { LeasesJetStream } from "../../infra/jetstream/leases.ts"
import { connection } from "../../infra/jetstream/nats.ts"
import { SchedulingAnswersNats, SchedulingNats } from "../../infra/jetstream/scheduling.ts"
import { StoredFilesJetStream } from "../../infra/jetstream/stored-files.ts"
import { SnapshotsJetStream } from "../../infra/jetstream/snapshots.ts"
import { WorkplaceJetStream } from "../../infra/jetstream/workplace.ts"
import { AttesterFiles } from "../../infra/keys/attester-files.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { ProjectionStorePostgres } from "../../infra/postgres/projection-store-postgres.ts"
import { Sql, SqlLive } from "../../infra/postgres/sql.ts"
import { ImageTestsInMemory } from "../../infra/memory/image-tests.ts"
import { simulatedBuilder } from "../../infra/simulated/simulated-builder.ts"
import { projections } from "../../projections/all.ts"
import { TestAccounts } from "./nats-layers.ts"
import { temporaryFolder, TestDatabase, TestNats } from "./servers.ts"
import { targetsOfTest, type TargetsOfTest } from "./targets.ts"

const one = { partitions: 1, replicas: 1 }
export const pool = PoolId.make("default")

export class Folder extends Context.Service<Folder, { readonly dir: string }>()("test/Folder") {
  static readonly layer = Layer.effect(Folder, Effect.map(temporaryFolder, (dir) => ({ dir })))
}

const ports = (patience: Patience | undefined, log: EventLogConfig) => Layer.unwrap(Effect.gen(function*() {
  const { dir } = yield* Folder
  return Layer.mergeAll(
    EventLogJetStream(log), BlobsJetStream(one), StoredFilesJetStream(one), SnapshotsJetStream(one), LeasesJetStream(one), DispatchJetStream({ ...one, ...(patience && { patience }) }), JobFeedJetStream(one),
    DemandJetStream(one), ParkedJetStream(one), PeriodsJetStream(log), SchedulingAnswersNats, SchedulingNats,
    SealerFiles(join(dir, "keys")), AttesterFiles(join(dir, "keys")),
    ArtifactsFiles(join(dir, "artifacts")),
    Layer.succeed(ImageBuilders, ImageBuilders.of({ builders: new Map([[simulatedBuilder.name, simulatedBuilder]]) })),
    ProjectionStorePostgres.pipe(Layer.provideMerge(Layer.unwrap(Effect.map(TestDatabase, (url) => SqlLive(url)))))
  )
}))

/** Any token will do here; whose tokens count is tested with the real issuers elsewhere. */
const Admission = Layer.effectDiscard(Effect.gen(function*() {
  const { url, credentials: { auth, issuer } } = yield* TestNats
  const nc = yield* connection({ servers: url, user: auth.user, pass: Redacted.value(auth.password) })
  yield* serveAuthCallout(nc, {
    issuer,
    verify: (token) =>
      token.startsWith("pool:")
        ? Effect.succeed({ pools: poolsOf(PoolScope.make(token.slice(5))), worker: undefined, expiresAt: Math.floor(Date.now() / 1000) + 3600 })
        : Effect.fail({ message: "no token of this test" })
  })
}))

/** `patience`: for tests of what is delivered in vain. `log`: for tests of periods. */
export const smallStack = (patience?: Patience, log: EventLogConfig = one) => Layer.merge(ports(patience, log), Admission).pipe(
  Layer.provideMerge(Layer.mergeAll(TestAccounts, Folder.layer, TestDatabase.layer)),
  Layer.provideMerge(TestNats.layer)
)

export const SmallStack = smallStack()

/** A running part; `stop` interrupts it as SIGTERM would. */
export interface Running {
  readonly stop: Effect.Effect<void>
}

const run = <A, E, R>(effect: Effect.Effect<A, E, R>): Effect.Effect<Running, never, R | Scope.Scope> =>
  Effect.map(Effect.forkScoped(effect), (fiber) => ({ stop: Fiber.interrupt(fiber) }))

const minute = 60_000

export const startScheduler = (instance = "test", lostAfterMs = 30_000, policyFile: PolicyFile = {}, deadlineMs = 10 * minute, beginWithinMs?: number, retentionEveryMs?: number, reaperAfterMs?: number) =>
  run(runScheduler({
    instance, policyFile, lostAfterMs, targetWaitMs: minute, deadlineMs: () => deadlineMs, ...(beginWithinMs !== undefined && { beginWithinMs }),
    ...(retentionEveryMs !== undefined && { retentionEveryMs }), ...(reaperAfterMs !== undefined && { reaperAfterMs })
  }))

export const startProjector = run(runProjector([...projections.values()]))

interface OwnWorker extends TargetsOfTest {
  readonly abilities?: Partial<Abilities>
  readonly scope?: PoolScope
  /** What comes of a boot test; nothing never ends. */
  readonly boots?: (order: BootOrder) => Booted | undefined
  /** Why this worker cannot test anything. */
  readonly testsNothing?: string
}

export const startWorker = (name = "w1", { abilities, boots = () => undefined, testsNothing, scope = PoolScope.make(pool), ...others }: OwnWorker = {}) =>
  Effect.gen(function*() {
    const { url } = yield* TestNats
    const { dir } = yield* Folder
    return yield* run(runWorker({
      abilities: { architectures: ["x86_64"], slots: { resolve: 1, build: 2, upload: 2 }, ...abilities }, workDir: join(dir, "work", name),
      deadlines: { resolve: minute, build: minute, test: minute, upload: minute, delete: minute }, version: "test", deployment: "test-deployment"
    }).pipe(Effect.provide([
      WorkplaceJetStream({ servers: url, scope, worker: WorkerId.make(name), token: () => `pool:${scope}` }), HeldImagesFiles(join(dir, "held", name)),
      ImageTestsInMemory(boots, testsNothing), ImageContentsTools,
      targetsOfTest(others, join(dir, "targets", name))
    ])))
  })

export const newTenant = () => TenantId.make(`t-${createHmac("sha256", randomBytes(8)).digest("hex").slice(0, 12)}`)

export const requestSimulated = Effect.fnUntraced(function*(tenantId: TenantId, options: ImageOptions = {}, test?: TestRequest) {
  const composeId = ComposeId.make(v7())
  yield* execute(
    { tenantId, messageId: `request-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } },
    RequestCompose.make({
      composeId, builder: "simulated", resolves: false,
      request: { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", options, ...(test !== undefined && { test }) }] },
      ...(test !== undefined && { tests: [0] })
    })
  )
  return composeId
})

export const historyOf = (tenantId: TenantId, composeId: ComposeId) =>
  Effect.flatMap(EventLog, (log) => log.read(composeRef(tenantId, composeId))).pipe(
    Effect.retry({ times: 50, schedule: Schedule.spaced("100 millis") }), Effect.map(({ recorded }) => recorded.flatMap(({ events }) => events)))

export const stateOf = (tenantId: TenantId, composeId: ComposeId) =>
  Effect.map(historyOf(tenantId, composeId), (events) => fold(ComposeDecider, events))

/** Looks again and again until it holds; an event would tell sooner, but tests should not rely on what they test. */
export const until = <A, E, R>(look: Effect.Effect<A, E, R>, holds: (a: A) => boolean, within: Duration.Input = "60 seconds") =>
  look.pipe(
    Effect.repeat({ until: holds, schedule: Schedule.spaced("20 millis") }),
    Effect.timeout(within)
  )

/** None before a projector has made the table. */
export const rowsOf = (table: "composes" | "images" | "jobs", tenantId: TenantId) =>
  Effect.flatMap(Sql, ({ run }) => run((sql) => sql<Array<Record<string, unknown>>>`select * from kiln.${sql(table)} where tenant_id = ${tenantId} order by 1, 2, 3`)).pipe(
    Effect.catchIf(({ code }) => code === undefinedTable, () => Effect.succeed([])))
const undefinedTable = "42P01"
