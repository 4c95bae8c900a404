/** A worker's bare connection, for one that does as it likes. */
import { connect, type NatsConnection } from "@nats-io/transport-node"
import { Effect } from "effect"
import { TestNats } from "./servers.ts"

export const bareWorker = (scope: string, name: string, token: string) =>
  Effect.acquireRelease(
    Effect.flatMap(TestNats, ({ url }) =>
      Effect.tryPromise(() => connect({
        servers: url, name: `${scope}/${name}`, inboxPrefix: `_INBOX_${scope}_${name}`, authenticator: () => ({ auth_token: token }), reconnect: false
      }))),
    (nc) => Effect.promise(() => nc.close()))

/** The subjects that the server has refused to it so far. A flush says that all before it was looked at. */
export const refusals = (nc: NatsConnection) => {
  const refused = new Set<string>()
  void (async () => {
    for await (const status of nc.status()) {
      const subject = status.type === "error" ? /"([^"]+)"/u.exec(status.error.message)?.[1] : undefined
      if (subject !== undefined) refused.add(subject)
    }
  })()
  return refused
}
