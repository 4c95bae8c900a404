/** Three nats-servers that keep the same data, so that one of them may be away. */
import { randomBytes } from "node:crypto"
import { mkdirSync } from "node:fs"
import { join } from "node:path"
import { Effect, Redacted, Schedule, type Scope } from "effect"
import { freePort } from "../process/free-port.ts"
import type { ServerFailed } from "../process/server-failed.ts"
import { natsCredentials, type NatsLogin } from "./credentials.ts"
import { type NatsServer, startNatsServer } from "./nats-server.ts"

/** Where one of them is reached, and by which command it is started there. */
export interface NatsPlace {
  readonly host: string
  readonly port: number
  readonly routePort: number
  readonly inside?: ReadonlyArray<string>
}

export interface NatsNode {
  readonly name: string
  readonly url: string
  /** Starts it with what it has on disk, always at the same address. */
  readonly start: Effect.Effect<NatsServer, ServerFailed, Scope.Scope>
}

export interface NatsClusterOptions {
  readonly binary: string
  /** Absolute; the credentials are in it, and a folder for each node. */
  readonly dir: string
  readonly durable?: boolean
  /** Three free ones of this machine by default. */
  readonly places?: ReadonlyArray<NatsPlace>
}

export const nodesOfCluster = 3

/** The nodes of a cluster, none of them started yet. */
export const natsCluster = Effect.fn("natsCluster")(function*({ binary, dir, durable = true, ...options }: NatsClusterOptions) {
  mkdirSync(dir, { recursive: true, mode: 0o700 })
  const credentials = yield* natsCredentials(dir)
  const places = options.places ?? (yield* Effect.all(Array.from({ length: nodesOfCluster }, () => onLoopback), { concurrency: "unbounded" }))
  const login: NatsLogin = { user: "route", password: Redacted.make(randomBytes(24).toString("base64url")) }
  const addressOf = ({ host, routePort }: NatsPlace) => `${host}:${routePort}`
  const nodes = places.map((place, at): NatsNode => {
    const name = `nats-${at + 1}`
    const peers = places.filter((other) => other !== place).map(addressOf)
    const member = { name, routePort: place.routePort, peers, login }
    return {
      name,
      url: `nats://${place.host}:${place.port}`,
      start: startNatsServer({ ...place, binary, dir: join(dir, name), credentialsDir: dir, durable, member })
    }
  })
  return { credentials, nodes }
})

const onLoopback = Effect.map(Effect.all([freePort, freePort]), ([port, routePort]): NatsPlace => ({ host: "127.0.0.1", port, routePort }))

type Monitored = Pick<NatsServer, "monitorUrl">

interface Copies {
  readonly leader?: string
  /** Those of other servers. */
  readonly replicas?: ReadonlyArray<{ readonly name: string; readonly current: boolean; readonly offline?: boolean }>
}

interface Jsz {
  readonly account_details?: ReadonlyArray<{ readonly stream_detail?: ReadonlyArray<{ readonly cluster?: Copies }> }>
}

/** Only who leads knows how far the others have come. */
const allThere = ({ leader, replicas = [] }: Copies): boolean =>
  leader !== undefined && (replicas.some(({ name }) => name === leader) || replicas.every(({ current, offline }) => current && offline !== true))

/** Whether a server is well, and all copies of what it leads are up to date. */
const isCurrent = ({ monitorUrl }: Monitored): Effect.Effect<boolean> =>
  Effect.tryPromise(async (signal) => {
    const [{ ok }, streams] = await Promise.all([fetch(`${monitorUrl}/healthz`, { signal }), fetch(`${monitorUrl}/jsz?accounts=true&streams=true`, { signal })])
    const { account_details = [] } = await streams.json() as Jsz
    return ok && account_details.flatMap(({ stream_detail = [] }) => stream_detail).every(({ cluster }) => cluster === undefined || allThere(cluster))
  }).pipe(Effect.timeout("2 seconds"), Effect.orElseSucceed(() => false))

/** Answers when all of them are. */
export const whole = (servers: () => ReadonlyArray<Monitored>): Effect.Effect<void> =>
  Effect.suspend(() => Effect.forEach(servers(), isCurrent, { concurrency: "unbounded" })).pipe(
    Effect.repeat({ until: (current) => current.every((one) => one), schedule: Schedule.spaced("50 millis") }),
    Effect.asVoid
  )
