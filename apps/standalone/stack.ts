/** All of Kiln on one machine, with its servers: for `npm start`, and for tests and measurements that need the real thing. */
import { join, resolve } from "node:path"
import { Effect, type Redacted, Scope } from "effect"
import type { NatsPlace } from "../../infra/nats-server/cluster.ts"
import { freePort } from "../../infra/process/free-port.ts"
import { makeHome } from "./checks.ts"
import { environment } from "./environment.ts"
import { logFile, type ProgramName, programs, rotate, runProgram } from "./programs.ts"
import { ready } from "./ready.ts"
import { startServers } from "./servers.ts"
import { startFailed } from "./start-failed.ts"
import { type Program, supervise, type Supervised } from "./supervise.ts"
import { keepWorkerToken, type Sign, signer, workerTokenFile } from "./tokens.ts"

export interface StackOptions {
  /** Holds everything that Kiln keeps; made where there is none. */
  readonly home: string
  readonly host?: string
  /** Of the gateway; 0, the default, takes a free one. */
  readonly port?: number
  /** All of them by default, and a scaler where `KILN_SCALING_FILE` is set. */
  readonly processes?: ReadonlyArray<ProgramName>
  /** More for the environment of one worker, the first being 0. */
  readonly workerEnv?: (at: number) => Readonly<Record<string, string>>
  /** How many workers. */
  readonly workers?: number
  /** 3 for a cluster, which goes on while one of its nodes is away. */
  readonly natsNodes?: 1 | 3
  /** Where those three are; on this machine by default. */
  readonly natsPlaces?: ReadonlyArray<NatsPlace>
  /** Without it the servers do not wait for the disk; for tests. */
  readonly durable?: boolean
  /** More for the environment of every process. */
  readonly env?: Readonly<Record<string, string>>
  /** Hears of every process that has ended and is started again. */
  readonly say?: (line: string) => void
}

export interface Stack {
  readonly url: string
  readonly home: string
  /** Of every node, with commas between them. */
  readonly natsUrl: string
  /** With user and password of the account that holds the log. */
  readonly natsCoreUrl: Redacted.Redacted
  /** With its password. */
  readonly postgresUrl: Redacted.Redacted
  readonly token: Sign
  /** Answers when every NATS node is there and has all that the others have. */
  readonly natsIsWhole: Effect.Effect<void>
  /** `nats` or `nats-1` to `nats-3`, `postgres`, `gateway`, `scheduler`, `projector`, `worker`, `worker-2`, … */
  readonly processes: ReadonlyMap<string, Supervised>
}

/** Serves when it answers; all gone when the scope closes: workers first, servers last. */
export const startStack = Effect.fn("startStack")(function*({
  durable = true, env = {}, host = "127.0.0.1", natsNodes = 1, natsPlaces, port = 0, processes: wanted = usual(), say = () => {},
  workerEnv = () => ({}), workers = 1, ...options
}: StackOptions) {
  const home = resolve(options.home)
  yield* makeHome(home)
  const processes = new Map<string, Supervised>()
  const scope = yield* Effect.scope
  // What starts in a later scope stops before; what shares one stops together.
  const [forServers, forServices, forWorkers] = [
    yield* Scope.fork(scope, "parallel"), yield* Scope.fork(scope, "parallel"), yield* Scope.fork(scope, "parallel")
  ]
  const keep = <E extends { readonly message: string }>(within: Scope.Scope, program: Omit<Program<E>, "say">) =>
    Effect.acquireRelease(
      Effect.tap(supervise({ ...program, say }), (supervised) => Effect.sync(() => processes.set(program.name, supervised))),
      ({ stop }) => stop
    ).pipe(Effect.mapError(({ message }) => startFailed(message)), Scope.provide(within))

  const cluster = natsNodes === 1 ? undefined : natsPlaces ?? "loopback"
  const [servers, sign, listen] = yield* Effect.all([
    startServers({ home, durable, cluster }, (program) => keep(forServers, program)),
    signer(join(home, "keys")),
    port === 0 ? freePort : Effect.succeed(port)
  ], { concurrency: "unbounded" })
  const url = `http://${reachable(host)}:${listen}`
  const common = { ...environment(home), ...servers.env, KILN_HOST: host, KILN_PORT: String(listen), ...env }
  const start = (within: Scope.Scope, program: ProgramName, name: string, own: Record<string, string> = {}) => {
    rotate(logFile(home, name))
    return keep(within, { name, start: runProgram({ home, name, program, env: { ...common, ...own } }) })
  }
  yield* Effect.forEach(wanted.filter((program) => program !== "worker" && program !== "scaler"), (program) => start(forServices, program, program), {
    concurrency: "unbounded", discard: true
  })
  if (wanted.includes("gateway")) yield* ready(url, home, processes)
  // Workers are let in by the services; one that knocks before there is anybody waits for long.
  yield* Effect.forEach(wanted.includes("worker") ? workersOf(workers) : [], ({ at, id, name }) =>
    Effect.andThen(
      keepWorkerToken(home, sign, id),
      start(forWorkers, "worker", name, {
        KILN_WORKER: id, KILN_WORKER_TOKEN_FILE: workerTokenFile(home, id), KILN_WORK: join(home, "work", id), ...workerEnv(at)
      })
    ), { concurrency: "unbounded", discard: true })
  if (wanted.includes("scaler")) {
    yield* keepWorkerToken(home, sign)
    yield* start(forWorkers, "scaler", "scaler", { KILN_WORKER_TOKEN_FILE: workerTokenFile(home) })
  }
  const stack: Stack = { ...servers.urls, natsIsWhole: servers.isWhole, url, home, token: sign, processes }
  return stack
})

const usual = (): ReadonlyArray<ProgramName> => process.env["KILN_SCALING_FILE"] ? [...programs, "scaler"] : programs

/** An address that means all addresses is none to go to. */
const reachable = (host: string) => host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : host.includes(":") ? `[${host}]` : host

const workersOf = (count: number) =>
  Array.from({ length: count }, (_, at) => at === 0 ? { at, name: "worker", id: "local" } : { at, name: `worker-${at + 1}`, id: `local-${at + 1}` })
