import { Redacted } from "effect"
import type { NatsCredentials, NatsLogin } from "./credentials.ts"

export interface NatsConfig {
  readonly host: string
  /** -1 takes any free one. */
  readonly port: number
  readonly monitorPort: number
  /** The server makes `jetstream/` in it. */
  readonly storeDir: string
  /** Acknowledge after the fsync: nothing acknowledged is lost with the power. */
  readonly durable: boolean
  /** Where the server writes its process id and the ports it has taken. */
  readonly runDir?: string
  readonly credentials: NatsCredentials
  /** For one of several that keep the same data. */
  readonly member?: ClusterMember
}

export interface ClusterMember {
  /** Must stay the same, for the others know its copies by it. */
  readonly name: string
  /** Where the others reach it. */
  readonly routePort: number
  /** `host:port` of the others. */
  readonly peers: ReadonlyArray<string>
  /** What servers show each other. */
  readonly login: NatsLogin
}

interface Reachable {
  readonly service?: string
  readonly stream?: string
  /** What workers call it. */
  readonly to?: string
  readonly responseType?: "stream"
}

/**
 * All that workers reach of the work account. A reply address is checked against nobody's rights: were they in that
 * account, one to `$JS.API.STREAM.DELETE.…` would delete the stream. Under its own name the API would answer them twice,
 * once for an account that has no streams.
 */
const reachable: ReadonlyArray<Reachable> = [
  { service: "worker.>" },
  { service: "$JS.API.CONSUMER.INFO.JOBS.*", to: "queues.CONSUMER.INFO.JOBS.*" },
  { service: "$JS.API.CONSUMER.MSG.NEXT.JOBS.*", to: "queues.CONSUMER.MSG.NEXT.JOBS.*", responseType: "stream" },
  { service: "$JS.ACK.JOBS.>" },
  { stream: "control.>" }
]
const kindOf = ({ stream }: Reachable) => stream === undefined ? "service" : "stream"
const subjectOf = ({ service, stream }: Reachable) => quoted(service ?? stream!)
const exported = (subject: Reachable) =>
  `{${kindOf(subject)}: ${subjectOf(subject)}, accounts: [WORKERS]${subject.responseType === undefined ? "" : `, response_type: ${subject.responseType}`}}`
const imported = (subject: Reachable) =>
  `{${kindOf(subject)}: {account: WORK, subject: ${subjectOf(subject)}}${subject.to === undefined ? "" : `, to: ${quoted(subject.to)}`}}`

/**
 * The log, the queues and the workers live in accounts of their own: a worker can make the server deliver to any subject
 * of its account, so there must be none there that matters.
 */
export const natsConfig = ({ credentials, durable, host, member, monitorPort, port, runDir, storeDir }: NatsConfig) => `server_name: ${member?.name ?? "kiln"}
listen: "${host}:${port}"
http: "${host}:${monitorPort}"
${runDir === undefined ? "" : filesOf(runDir)}max_payload: 8MB
jetstream {
  store_dir: ${quoted(storeDir)}
  ${durable ? "sync_interval: always" : ""}
}
${member === undefined ? "" : cluster(host, member)}accounts {
  CORE {
    jetstream: enabled
    users: [${login(credentials.core)}]
  }
  WORK {
    jetstream: enabled
    users: [${login(credentials.api)}]
    exports: [${reachable.map(exported).join(", ")}]
  }
  WORKERS {
    imports: [${reachable.map(imported).join(", ")}]
  }
  AUTH {
    users: [${login(credentials.auth)}]
  }
  SYS {}
}
system_account: SYS
authorization {
  timeout: 3
  auth_callout {
    account: AUTH
    issuer: ${credentials.issuer.publicKey}
    auth_users: [${credentials.core.user}, ${credentials.api.user}, ${credentials.auth.user}]
  }
}
`

/** Pings find a server that is cut off; half a minute, as it is without them, is long for whoever waits for an answer. */
const cluster = (host: string, { login, peers, routePort }: ClusterMember) => `cluster {
  name: kiln
  listen: "${host}:${routePort}"
  ping_interval: "2s"
  authorization {
    user: ${login.user}
    password: ${quoted(Redacted.value(login.password))}
    timeout: 3
  }
  routes: [${peers.map((peer) => quoted(`nats-route://${login.user}:${Redacted.value(login.password)}@${peer}`)).join(", ")}]
}
`

const filesOf = (runDir: string) => `ports_file_dir: ${quoted(runDir)}
pid_file: ${quoted(`${runDir}/nats-server.pid`)}
logfile_size_limit: 16MB
logfile_max_num: 2
`

const login = ({ password, user }: NatsLogin) => `{user: ${user}, password: ${quoted(Redacted.value(password))}}`

const quoted = (text: string) => JSON.stringify(text)
