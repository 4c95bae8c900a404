/** Who may connect to the embedded nats-server, made once and kept beside its data. */
import { createAccount } from "@nats-io/nkeys"
import { Effect, Redacted, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { join } from "node:path"
import { readOr, writePrivate } from "../process/server-folder.ts"
import { ServerFailed } from "../process/server-failed.ts"

const Login = Schema.Struct({ user: Schema.String, password: Schema.RedactedFromValue(Schema.String) })
export type NatsLogin = typeof Login.Type

/** `issuer` signs what auth callout answers; its seed belongs to the gateway alone. */
export const NatsCredentials = Schema.Struct({
  core: Login,
  api: Login,
  auth: Login,
  issuer: Schema.Struct({ publicKey: Schema.String, seed: Schema.RedactedFromValue(Schema.String) })
})
export type NatsCredentials = typeof NatsCredentials.Type

const Stored = Schema.fromJsonString(NatsCredentials)

export const natsCredentials = Effect.fn("natsCredentials")(function*(dir: string) {
  const path = join(dir, "nats-credentials.json")
  const stored = readOr(path, undefined)
  const credentials = stored === undefined ? fresh() : yield* Schema.decodeEffect(Stored)(stored).pipe(
    Effect.mapError(() => new ServerFailed({ server: "nats-server", message: `${path} is damaged; move it away for new credentials` }))
  )
  if (stored === undefined) writePrivate(path, Schema.encodeSync(Stored)(credentials))
  return credentials
})

const fresh = (): NatsCredentials => {
  const login = (user: string): NatsLogin => ({ user, password: Redacted.make(randomBytes(24).toString("base64url")) })
  const account = createAccount()
  const issuer = { publicKey: account.getPublicKey(), seed: Redacted.make(new TextDecoder().decode(account.getSeed())) }
  return { core: login("core"), api: login("api"), auth: login("auth"), issuer }
}
