/** The embedded NATS and Postgres, started side by side and kept running at the same addresses. */
import { join } from "node:path"
import { Effect, Redacted } from "effect"
import { natsServerBinary } from "../../infra/nats-server/binary.ts"
import { type NatsServer, startNatsServer } from "../../infra/nats-server/nats-server.ts"
import { type PostgresServer, startPostgresServer } from "../../infra/postgres-server/postgres-server.ts"
import type { ServerFailed } from "../../infra/process/server-failed.ts"
import type { StartFailed } from "./start-failed.ts"
import type { Program, Run, Supervised } from "./supervise.ts"

type Keep = (program: Omit<Program<ServerFailed>, "say">) => Effect.Effect<Supervised, StartFailed>

export const startServers = Effect.fnUntraced(function*(home: string, durable: boolean, keep: Keep) {
  let nats: NatsServer | undefined
  let postgres: PostgresServer | undefined
  const natsDir = join(home, "nats")
  const startNats = Effect.suspend(() =>
    startNatsServer({ binary: natsServerBinary(), dir: natsDir, port: portOf(nats?.url), durable })
  ).pipe(Effect.tap((server) => Effect.sync(() => nats = server)), Effect.map(runOf))
  const startPostgres = Effect.suspend(() =>
    startPostgresServer({ dir: join(home, "postgres"), port: portOf(postgres && Redacted.value(postgres.url)), durable })
  ).pipe(Effect.tap((server) => Effect.sync(() => postgres = server)), Effect.map(runOf))
  yield* Effect.all([
    keep({ name: "nats", start: startNats }),
    keep({ name: "postgres", start: startPostgres })
  ], { concurrency: "unbounded", discard: true })
  const { credentials: { core }, url: natsUrl } = nats!
  const postgresUrl = postgres!.url
  return {
    urls: {
      natsUrl,
      natsCoreUrl: Redacted.make(natsUrl.replace("://", `://${core.user}:${Redacted.value(core.password)}@`), { label: "nats url" }),
      postgresUrl
    },
    env: {
      KILN_NATS_URL: natsUrl,
      KILN_NATS_CREDENTIALS: join(natsDir, "nats-credentials.json"),
      KILN_POSTGRES_URL: Redacted.value(postgresUrl)
    }
  }
})

const portOf = (url: string | undefined) => (url === undefined ? 0 : Number(new URL(url).port))

const runOf = ({ kill, lost, pid, stop }: NatsServer | PostgresServer): Run => ({
  pid, kill, stop, ended: Effect.map(Effect.flip(lost), ({ message }) => message)
})
