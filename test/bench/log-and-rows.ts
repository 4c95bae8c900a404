/** A log and a Postgres of their own for benches of the read side, and lives of composes to fill them with. */
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Layer, Redacted, type Scope } from "effect"
import { v7 } from "uuid"
import { ComposeId, Millis, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { composeRef, type Decision, type Position } from "../../domain/recorded.ts"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { CoreNatsLive } from "../../infra/jetstream/nats.ts"
import { ParkedJetStream } from "../../infra/jetstream/parked.ts"
import { natsServerBinary } from "../../infra/nats-server/binary.ts"
import { startNatsServer } from "../../infra/nats-server/nats-server.ts"
import { startPostgresServer } from "../../infra/postgres-server/postgres-server.ts"
import { ProjectionStorePostgres } from "../../infra/postgres/projection-store-postgres.ts"
import { SqlLive } from "../../infra/postgres/sql.ts"
import { TenantRowsLive } from "../../infra/postgres/tenant-rows.ts"
import { jobs, outcomes, queued, request, started, succeeded } from "../support/composes.ts"

export interface Servers {
  readonly nats: string
  readonly postgres: Redacted.Redacted
}

/** KILN_BENCH_DIR chooses the disk that is measured. */
export const withLogAndRows = async <A>(use: (servers: Servers) => Effect.Effect<A, unknown, Ports | Scope.Scope>): Promise<A> => {
  const dir = await mkdtemp(join(process.env["KILN_BENCH_DIR"] ?? tmpdir(), "kiln-bench-"))
  const program = Effect.scoped(Effect.gen(function*() {
    const { credentials: { core }, url } = yield* startNatsServer({ binary: natsServerBinary(), dir: join(dir, "nats") })
    const postgres = yield* startPostgresServer({ dir: join(dir, "postgres") })
    const nats = url.replace("://", `://${core.user}:${encodeURIComponent(Redacted.value(core.password))}@`)
    return yield* Effect.provide(use({ nats, postgres: postgres.url }), ports(url, core, postgres.url))
  }))
  try {
    return await Effect.runPromise(program)
  } finally {
    await rm(dir, { recursive: true, force: true, maxRetries: 5 })
  }
}

export const ports = (url: string, core: { readonly user: string; readonly password: Redacted.Redacted }, postgres: Redacted.Redacted) =>
  Layer.merge(
    Layer.merge(EventLogJetStream({ partitions: 1, replicas: 1 }), ParkedJetStream({ replicas: 1 })).pipe(
      Layer.provideMerge(CoreNatsLive({ servers: url, user: core.user, password: Redacted.value(core.password) }, "bench"))),
    Layer.merge(ProjectionStorePostgres, TenantRowsLive).pipe(Layer.provideMerge(SqlLive(postgres)))
  )

type Ports = Layer.Success<ReturnType<typeof ports>>

export const benchTenant = TenantId.make("bench")

/** A compose from its request to its end, as the scheduler writes it: five decisions, eleven events. */
export const lifeOf = (): { readonly id: ComposeId; readonly decisions: ReadonlyArray<Decision<"compose">> } => {
  const id = ComposeId.make(v7())
  const own = <Event extends object>(event: Event): Event => ({ ...event, composeId: id })
  const decision = (...events: Array<ComposeEvent>): Decision<"compose"> =>
    ({ messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "bench" }, events: events.map(own) as never })
  return {
    id,
    decisions: [
      decision({ _tag: "ComposeRequested", composeId: id, request: { ...request, labels: { team: `t${Math.floor(Math.random() * 100)}` } }, builder: "debian", resolves: true }, queued(jobs.resolve)),
      decision(started(jobs.resolve)),
      decision({ ...succeeded(jobs.resolve), outcome: outcomes.resolve }, queued(jobs.build)),
      decision(started(jobs.build)),
      decision({ ...succeeded(jobs.build), outcome: outcomes.build }, queued(jobs.upload), started(jobs.upload),
        { ...succeeded(jobs.upload), outcome: outcomes.upload }, { _tag: "ComposeFinished", composeId: id, outcome: "succeeded" })
    ]
  }
}

export const eventsInLife = 11

/** `stored`: told of each decision once the log has answered for it. */
export const appendLife = Effect.fnUntraced(function*(stored: (position: Position) => void = () => {}) {
  const log = yield* EventLog
  const { decisions, id } = lifeOf()
  for (const [revision, decision] of decisions.entries()) {
    stored(yield* log.append(composeRef(benchTenant, id), revision, { ...decision, at: Millis.make(Date.now()) }))
  }
})
