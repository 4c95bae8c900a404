/** Connections to the two accounts that Kiln uses, as layers: CORE holds the log, WORK what workers may see. */
import { type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect, type NatsConnection, type NodeConnectionOptions } from "@nats-io/transport-node"
import { Context, Effect, Layer, Schedule, Schema } from "effect"

export interface Nats {
  readonly nc: NatsConnection
  readonly js: JetStreamClient
  readonly jsm: JetStreamManager
}

export class CoreNats extends Context.Service<CoreNats, Nats>()("infra/jetstream/CoreNats") {}
export class WorkNats extends Context.Service<WorkNats, Nats>()("infra/jetstream/WorkNats") {}

export class NatsFailed extends Schema.TaggedError<NatsFailed>()("NatsFailed", { message: Schema.String }) {}

/** The users that nats-server's configuration names; a file of mode 0600. */
export interface NatsLogin {
  readonly servers: string
  readonly user: string
  readonly password: string
}

export const reconnecting = {
  maxReconnectAttempts: -1,
  reconnectTimeWait: 200,
  reconnectJitter: 100,
  ignoreAuthErrorAbort: true,
  pingInterval: 10_000,
  // A stack trace for every request costs some per cent of the busiest processes.
  noAsyncTraces: true
} satisfies NodeConnectionOptions

/** `KILN_NATS_URL` may name several servers of one cluster, separated by commas. */
const serversOf = (servers: NodeConnectionOptions["servers"]) =>
  typeof servers === "string" ? servers.split(",").map((server) => server.trim()) : (servers ?? [])

/** Keeps trying: a process may start before its server does. */
export const connection = (options: NodeConnectionOptions) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => connect({ ...reconnecting, ...options, servers: serversOf(options.servers) }),
      catch: (error) => new NatsFailed({ message: `cannot reach NATS at ${String(options.servers)}: ${(error as Error).message}` })
    }).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("500 millis")]))
    ),
    (nc) => Effect.promise(() => nc.close())
  )

const link = (login: NatsLogin, name: string) =>
  Effect.gen(function*() {
    const nc = yield* connection({ servers: login.servers, user: login.user, pass: login.password, name })
    const jsm = yield* Effect.tryPromise({
      try: () => jetstreamManager(nc, { timeout: 10_000 }),
      catch: (error) => new NatsFailed({ message: `NATS has no JetStream for ${login.user}: ${(error as Error).message}` })
    })
    return { nc, jsm, js: jetstream(nc, { timeout: 10_000 }) }
  })

export const CoreNatsLive = (login: NatsLogin, name: string) => Layer.effect(CoreNats, link(login, name))
export const WorkNatsLive = (login: NatsLogin, name: string) => Layer.effect(WorkNats, link(login, name))
