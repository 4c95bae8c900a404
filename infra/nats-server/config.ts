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
}

/**
 * Events and workers live in accounts of their own: a worker can make the server deliver to any subject of
 * its account, so there must be none there that matters.
 */
export const natsConfig = ({ credentials, durable, host, monitorPort, port, runDir, storeDir }: NatsConfig) => `server_name: kiln
listen: "${host}:${port}"
http: "${host}:${monitorPort}"
${runDir === undefined ? "" : filesOf(runDir)}max_payload: 8MB
jetstream {
  store_dir: ${quoted(storeDir)}
  ${durable ? "sync_interval: always" : ""}
}
accounts {
  CORE {
    jetstream: enabled
    users: [${login(credentials.core)}]
  }
  WORK {
    jetstream: enabled
    users: [${login(credentials.api)}]
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

const filesOf = (runDir: string) => `ports_file_dir: ${quoted(runDir)}
pid_file: ${quoted(`${runDir}/nats-server.pid`)}
logfile_size_limit: 16MB
logfile_max_num: 2
`

const login = ({ password, user }: NatsLogin) => `{user: ${user}, password: ${quoted(Redacted.value(password))}}`

const quoted = (text: string) => JSON.stringify(text)
