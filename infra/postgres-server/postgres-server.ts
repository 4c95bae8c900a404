/** A Postgres of our own as a child process, from the programs that npm has brought. */
import { Effect, Redacted, type Scope } from "effect"
import { join } from "node:path"
import { type Child, dieWithParent, spawnChild } from "../process/child.ts"
import { freePort } from "../process/free-port.ts"
import { pause, poll } from "../process/poll.ts"
import { ServerFailed } from "../process/server-failed.ts"
import { claimFolder, freshLog, readOr } from "../process/server-folder.ts"
import { postgresBinaries, type RunAs, runAs } from "./binaries.ts"
import { cluster, database } from "./cluster.ts"

export interface PostgresServerOptions {
  /** Absolute; holds everything the server keeps, its password included. */
  readonly dir: string
  /** 0, the default, takes any free one. */
  readonly port?: number
  /** False trades the data's safety in a power cut for speed: for tests. */
  readonly durable?: boolean
  /** The folder of `initdb` and `postgres`; the ones from npm by default. */
  readonly binaries?: string
  readonly runAs?: RunAs
}

export interface PostgresServer {
  /** Names the database `kiln`, whose owner may make others. */
  readonly url: Redacted.Redacted
  readonly pid: number
  /** Fails when the server ends before it was asked to. */
  readonly lost: Effect.Effect<never, ServerFailed>
  /** Sends a signal; for one that ends the server, answers when it is gone. */
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  /** Disconnects everybody and stops. */
  readonly stop: Effect.Effect<void>
}

export const startPostgresServer: (options: PostgresServerOptions) => Effect.Effect<PostgresServer, ServerFailed, Scope.Scope> =
  Effect.fn("startPostgresServer")(function*({ dir, durable = true, port = 0, ...options }) {
    const binaries = options.binaries ?? postgresBinaries()
    if (binaries === undefined) {
      return yield* fail(`there is no embedded Postgres for ${process.platform} on ${process.arch}; run npm ci`)
    }
    const as = options.runAs ?? runAs()
    const pidFile = join(dir, "data/postmaster.pid")
    yield* claimFolder({ server: "postgres", dir, pidFile })
    const { dataDir, password } = yield* cluster(dir, binaries, as, durable)
    const program = join(binaries, "postgres")
    const log = freshLog(join(dir, "postgres.log"))
    const attempt = Effect.fnUntraced(function*() {
      const listen = port === 0 ? yield* freePort : port
      const args = ["-D", dataDir, "-p", String(listen), ...settings(durable)]
      const [first, ...rest] = [...(as.how === "self" ? [] : as.prefix), ...dieWithParent("SIGINT", [program, ...args])]
      const child = yield* spawnChild({ argv: [first!, ...rest], output: log, stopSignal: "SIGINT", cwd: "/" }).pipe(
        Effect.catchTag("ChildNotStarted", ({ message }) => fail(`${program} does not start: ${message}`))
      )
      yield* Effect.raceFirst(
        poll(5, () => (isReady(pidFile, child) ? true : undefined)),
        Effect.flatMap(child.exited, () => fail(whyEnded(log, listen)))
      )
      return { child, listen }
    })
    // Between finding a port free and taking it, somebody else may; the parts of a killed server take a moment to end.
    const passing = ({ message }: ServerFailed) => message.includes("still in use") || (port === 0 && message.includes("taken"))
    const { child, listen } = yield* attempt().pipe(
      Effect.tapError(() => pause(50)),
      Effect.retry({ while: passing, times: 100 })
    )
    return {
      url: Redacted.make(`postgres://kiln:${password}@127.0.0.1:${listen}/${database}`, { label: "postgres url" }),
      pid: child.pid,
      lost: Effect.flatMap(child.exited, () => fail(`Postgres has ended; its log is ${log}`)),
      kill: (signal) =>
        ["SIGKILL", "SIGTERM", "SIGINT", "SIGQUIT"].includes(signal)
          ? Effect.asVoid(Effect.andThen(child.signal(signal), child.exited))
          : child.signal(signal),
      stop: child.stop
    }
  })

const fail = (message: string) => Effect.fail(new ServerFailed({ server: "postgres", message }))

/** One machine, few clients: small, over TCP to this machine only, no sockets in shared folders. */
const settings = (durable: boolean) =>
  [
    "listen_addresses=127.0.0.1",
    "unix_socket_directories=",
    "max_connections=100",
    "shared_buffers=64MB",
    "io_method=sync",
    "log_checkpoints=off",
    ...(durable ? [] : ["fsync=off", "synchronous_commit=off", "full_page_writes=off"])
  ].flatMap((setting) => ["-c", setting])

/** The pid file's eighth line is the server's own word on how far it is. */
const isReady = (pidFile: string, child: Child) => {
  const lines = readOr(pidFile, "").split("\n")
  return Number(lines[0]) === child.pid && lines[7]?.trim() === "ready"
}

const whyEnded = (log: string, port: number) => {
  const text = readOr(log, "")
  if (text.includes("Address already in use")) return `port ${port} on 127.0.0.1 is taken, so Postgres cannot listen there`
  const fatal = text.split("\n").findLast((line) => /FATAL|PANIC|denied|error/.test(line)) ?? text.trim().split("\n").at(-1)
  return `Postgres ended while starting: ${fatal || "it printed nothing"}`
}
