/** A nats-server of our own as a child process. */
import { Effect, type Scope } from "effect"
import { execFile } from "node:child_process"
import { readdirSync, rmSync } from "node:fs"
import { join } from "node:path"
import { type Child, dieWithParent, spawnChild } from "../process/child.ts"
import { poll } from "../process/poll.ts"
import { ServerFailed } from "../process/server-failed.ts"
import { claimFolder, freshLog, readOr, writePrivate } from "../process/server-folder.ts"
import { type ClusterMember, natsConfig } from "./config.ts"
import { type NatsCredentials, natsCredentials } from "./credentials.ts"

export interface NatsServerOptions {
  /** The path of nats-server 2.14 or newer. */
  readonly binary: string
  /** Absolute; holds everything the server keeps, its credentials included. */
  readonly dir: string
  /** This machine only by default. */
  readonly host?: string
  /** 0, the default, takes any free one. */
  readonly port?: number
  readonly durable?: boolean
  readonly member?: ClusterMember
  /** Whose accounts it has: its own by default, those of all members for one of several. */
  readonly credentialsDir?: string
  /** A command that runs another one elsewhere, in the same process: `nsenter` and the like. */
  readonly inside?: ReadonlyArray<string>
}

export interface NatsServer {
  readonly url: string
  /** Answers `/healthz`, `/jsz` and the like, to this machine only. */
  readonly monitorUrl: string
  readonly credentials: NatsCredentials
  readonly pid: number
  /** Fails when the server ends before it was asked to. */
  readonly lost: Effect.Effect<never, ServerFailed>
  /** Sends a signal; for one that ends the server, answers when it is gone. */
  readonly kill: (signal: NodeJS.Signals) => Effect.Effect<void>
  readonly stop: Effect.Effect<void>
}

const oldest = [2, 14] as const

export const startNatsServer: (options: NatsServerOptions) => Effect.Effect<NatsServer, ServerFailed, Scope.Scope> =
  Effect.fn("startNatsServer")(function*({
    binary, dir, credentialsDir = dir, durable = true, host = "127.0.0.1", inside = [], member, port = 0
  }) {
    const runDir = join(dir, "run")
    yield* claimFolder({ server: "nats-server", dir: runDir, pidFile: join(runDir, "nats-server.pid") })
    for (const name of readdirSync(runDir)) if (name.endsWith(".ports")) rmSync(join(runDir, name))
    const credentials = yield* natsCredentials(credentialsDir)
    const config = join(runDir, "nats-server.conf")
    const common = { host, monitorPort: -1, credentials, durable, runDir, ...(member !== undefined && { member }) }
    writePrivate(config, natsConfig({ ...common, port: port === 0 ? -1 : port, storeDir: dir }))
    const log = freshLog(join(dir, "nats-server.log"))
    const [program, ...args] = [...inside, ...dieWithParent("SIGTERM", [binary, "-c", config, "-l", log])]
    const [child] = yield* Effect.all(
      [spawnChild({ argv: [program!, ...args], output: log }), newEnough(binary)],
      { concurrency: "unbounded" }
    ).pipe(Effect.catchTag("ChildNotStarted", ({ message }) => fail(`${binary} does not start: ${message}`)))
    const ports = yield* Effect.raceFirst(
      poll(5, () => portsOf(join(runDir, `nats-server_${child.pid}.ports`))),
      Effect.flatMap(child.exited, () => fail(whyEnded(log, host, port)))
    )
    return {
      ...ports,
      credentials,
      pid: child.pid,
      lost: Effect.flatMap(child.exited, () => fail(`nats-server has ended; its log is ${log}`)),
      kill: killing(child),
      stop: child.stop
    }
  })

const fail = (message: string) => Effect.fail(new ServerFailed({ server: "nats-server", message }))

const newEnough = (binary: string) =>
  Effect.callback<string, ServerFailed>((resume) => {
    execFile(binary, ["--version"], (error, output) => {
      const version = /v(\d+)\.(\d+)\.\d+/.exec(output)
      const [major, minor] = [Number(version?.[1]), Number(version?.[2])]
      if ((error as NodeJS.ErrnoException | null)?.code === "ENOENT") return resume(fail(`there is no nats-server at ${binary}`))
      if (version === null) return resume(fail(`${binary} is no nats-server that runs here`))
      if (major < oldest[0] || (major === oldest[0] && minor < oldest[1])) {
        return resume(fail(`${binary} is version ${major}.${minor}; Kiln needs ${oldest.join(".")} or newer`))
      }
      resume(Effect.succeed(output))
    })
  })

const portsOf = (path: string) => {
  try {
    const { monitoring: [monitorUrl], nats: [url] } = JSON.parse(readOr(path, "")) as { nats: [string]; monitoring: [string] }
    return { url, monitorUrl }
  } catch {
    return undefined
  }
}

const whyEnded = (log: string, host: string, port: number) => {
  const text = readOr(log, "")
  if (text.includes("address already in use")) return `port ${port} on ${host} is taken, so nats-server cannot listen there`
  const fatal = text.split("\n").findLast((line) => line.includes("[FTL]"))?.split("[FTL] ")[1]
  return `nats-server ended while starting: ${fatal ?? (text.trim().split("\n").at(-1) || "it printed nothing")}`
}

const killing = (child: Child) => (signal: NodeJS.Signals) =>
  ["SIGKILL", "SIGTERM", "SIGINT"].includes(signal)
    ? Effect.asVoid(Effect.andThen(child.signal(signal), child.exited))
    : child.signal(signal)
