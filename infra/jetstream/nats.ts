/** Connections to the two accounts that Kiln uses, as layers: CORE holds the log, WORK what workers may see. */
import { JetStreamApiError, type JetStreamClient, type JetStreamManager, jetstream, jetstreamManager } from "@nats-io/jetstream"
import { connect, errors, type NatsConnection, type NodeConnectionOptions, RequestError } from "@nats-io/transport-node"
import { Context, Effect, Layer, Schedule, Schema } from "effect"
import { resending } from "./resending.ts"

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
  // One of several servers may be frozen or cut off: it is left after two pings, and not waited for when it is dialled.
  pingInterval: 2000,
  maxPingOut: 2,
  timeout: 5000,
  // A stack trace for every request costs some per cent of the busiest processes.
  noAsyncTraces: true
} satisfies NodeConnectionOptions

/** For those that consume: a server of a cluster that dies takes its end of the pull along, and only missed heartbeats tell. */
export const attentive = { expires: 5000, idle_heartbeat: 1000 } as const

/** `KILN_NATS_URL` may name several servers of one cluster, separated by commas. */
const serversOf = (servers: NodeConnectionOptions["servers"]) =>
  typeof servers === "string" ? servers.split(",").map((server) => server.trim()) : (servers ?? [])

/** Keeps trying: a process may start before its server does. */
export const connection = (options: NodeConnectionOptions) =>
  Effect.acquireRelease(
    Effect.tryPromise({
      try: () => connect({ ...reconnecting, ...options, servers: serversOf(options.servers) }).then(resending),
      catch: (error) => new NatsFailed({ message: `cannot reach NATS at ${String(options.servers)}: ${(error as Error).message}` })
    }).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("500 millis")]))
    ),
    (nc) => Effect.promise(() => nc.close())
  )

const tooFewMembers = 10_005

/** Says nothing about what was asked: the server is away, or its cluster has no leader or too few members yet. */
const isPassing = (error: unknown): boolean =>
  error instanceof errors.TimeoutError || error instanceof RequestError || error instanceof errors.ConnectionError ||
  error instanceof Error && error.name === "JetStreamNotEnabled" || error instanceof JetStreamApiError && (error.status === 503 || error.code === tooFewMembers)

/** For what a process needs before it can begin: it may start before its server does. */
export const patiently = <A>(run: () => Promise<A>): Effect.Effect<A, Error> =>
  Effect.tryPromise({ try: run, catch: (error) => error as Error }).pipe(
    Effect.tapError((error) => isPassing(error) ? Effect.logWarning(`NATS does not answer yet: ${error.message}`) : Effect.void),
    Effect.retry({ while: isPassing, schedule: Schedule.spaced("500 millis") })
  )

const link = (login: NatsLogin, name: string) =>
  Effect.gen(function*() {
    const nc = yield* connection({ servers: login.servers, user: login.user, pass: login.password, name })
    const jsm = yield* patiently(() => jetstreamManager(nc, { timeout: 10_000 })).pipe(
      Effect.mapError((error) => new NatsFailed({ message: `NATS has no JetStream for ${login.user}: ${error.message}` })))
    return { nc, jsm, js: jetstream(nc, { timeout: 10_000 }) }
  })

export const CoreNatsLive = (login: NatsLogin, name: string) => Layer.effect(CoreNats, link(login, name))
export const WorkNatsLive = (login: NatsLogin, name: string) => Layer.effect(WorkNats, link(login, name))
