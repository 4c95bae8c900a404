/** The embedded NATS and Postgres, started side by side and kept running at the same addresses. */
import { join } from "node:path"
import { Effect, Redacted } from "effect"
import { natsServerBinary } from "../../infra/nats-server/binary.ts"
import { natsCluster, type NatsPlace, whole } from "../../infra/nats-server/cluster.ts"
import { type NatsServer, startNatsServer } from "../../infra/nats-server/nats-server.ts"
import { type PostgresServer, startPostgresServer } from "../../infra/postgres-server/postgres-server.ts"
import type { ServerFailed } from "../../infra/process/server-failed.ts"
import type { StartFailed } from "./start-failed.ts"
import type { Program, Run, Supervised } from "./supervise.ts"

type Keep = (program: Omit<Program<ServerFailed>, "say">) => Effect.Effect<Supervised, StartFailed>

export interface ServersOptions {
  readonly home: string
  readonly durable: boolean
  /** A cluster there, one node a place; "loopback" for three of this machine. */
  readonly cluster: ReadonlyArray<NatsPlace> | "loopback" | undefined
}

export const startServers = Effect.fnUntraced(function*({ cluster, durable, home }: ServersOptions, keep: Keep) {
  const natsDir = join(home, "nats")
  const [nats, postgresUrl] = yield* Effect.all([
    cluster === undefined ? startOne(natsDir, durable, keep) : startCluster(natsDir, durable, cluster, keep),
    startPostgres(home, durable, keep)
  ], { concurrency: "unbounded" })
  const { credentials: { core }, replicas, urls: [first] } = nats
  const natsUrl = nats.urls.join(",")
  return {
    isWhole: nats.isWhole,
    urls: {
      natsUrl,
      natsCoreUrl: Redacted.make(first!.replace("://", `://${core.user}:${Redacted.value(core.password)}@`), { label: "nats url" }),
      postgresUrl
    },
    env: {
      KILN_NATS_URL: natsUrl,
      KILN_NATS_CREDENTIALS: join(natsDir, "nats-credentials.json"),
      KILN_REPLICAS: String(replicas),
      KILN_POSTGRES_URL: Redacted.value(postgresUrl)
    }
  }
})

interface StartedNats {
  readonly urls: ReadonlyArray<string>
  readonly credentials: NatsServer["credentials"]
  readonly replicas: number
  /** Answers when every node is there and has all that the others have. */
  readonly isWhole: Effect.Effect<void>
}

const startOne = Effect.fnUntraced(function*(dir: string, durable: boolean, keep: Keep) {
  let nats: NatsServer | undefined
  const start = Effect.suspend(() => startNatsServer({ binary: natsServerBinary(), dir, port: portOf(nats?.url), durable })).pipe(
    Effect.tap((server) => Effect.sync(() => nats = server)), Effect.map(runOf))
  yield* keep({ name: "nats", start })
  const started: StartedNats = { urls: [nats!.url], credentials: nats!.credentials, replicas: 1, isWhole: whole(() => [nats!]) }
  return started
})

const startCluster = Effect.fnUntraced(function*(dir: string, durable: boolean, cluster: ReadonlyArray<NatsPlace> | "loopback", keep: Keep) {
  const { credentials, nodes } = yield* natsCluster({ binary: natsServerBinary(), dir, durable, ...cluster !== "loopback" && { places: cluster } })
  const servers = new Map<string, NatsServer>()
  yield* Effect.forEach(nodes, ({ name, start }) =>
    keep({ name, start: start.pipe(Effect.tap((server) => Effect.sync(() => servers.set(name, server))), Effect.map(runOf)) }), {
    concurrency: "unbounded", discard: true
  })
  const isWhole = whole(() => [...servers.values()])
  yield* isWhole
  const started: StartedNats = { urls: nodes.map(({ url }) => url), credentials, replicas: nodes.length, isWhole }
  return started
})

const startPostgres = Effect.fnUntraced(function*(home: string, durable: boolean, keep: Keep) {
  let postgres: PostgresServer | undefined
  const start = Effect.suspend(() =>
    startPostgresServer({ dir: join(home, "postgres"), port: portOf(postgres && Redacted.value(postgres.url)), durable })
  ).pipe(Effect.tap((server) => Effect.sync(() => postgres = server)), Effect.map(runOf))
  yield* keep({ name: "postgres", start })
  return postgres!.url
})

const portOf = (url: string | undefined) => (url === undefined ? 0 : Number(new URL(url).port))

const runOf = ({ kill, lost, pid, stop }: NatsServer | PostgresServer): Run => ({
  pid, kill, stop, ended: Effect.map(Effect.flip(lost), ({ message }) => message)
})
