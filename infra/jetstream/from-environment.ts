/** The connections and layers that a service process needs, from its environment. */
import { readFile } from "node:fs/promises"
import { Config, Effect, Layer, Redacted, Schema } from "effect"
import { NatsCredentials } from "../nats-server/credentials.ts"
import { CoreNats, CoreNatsLive, NatsFailed, WorkNats, WorkNatsLive } from "./nats.ts"

const Credentials = Schema.fromJsonString(NatsCredentials)

export const natsSettings = Config.all({
  servers: Config.String("KILN_NATS_URL"),
  credentialsFile: Config.String("KILN_NATS_CREDENTIALS"),
  partitions: Config.Int("KILN_PARTITIONS").pipe(Config.withDefault(1)),
  replicas: Config.Int("KILN_REPLICAS").pipe(Config.withDefault(1))
})

export const readNatsCredentials = Effect.fn("readNatsCredentials")(function*(path: string) {
  const text = yield* Effect.tryPromise({
    try: () => readFile(path, "utf8"),
    catch: () => new NatsFailed({ message: `KILN_NATS_CREDENTIALS names ${path}, which cannot be read` })
  })
  return yield* Schema.decodeEffect(Credentials)(text).pipe(
    Effect.mapError(() => new NatsFailed({ message: `${path} holds no NATS credentials` })))
})

/** Both accounts, for processes that may see both. */
export const NatsFromEnvironment = (name: string): Layer.Layer<CoreNats | WorkNats, NatsFailed | Config.ConfigError> =>
  Layer.unwrap(Effect.gen(function*() {
    const { servers, credentialsFile } = yield* natsSettings
    const { core, api } = yield* readNatsCredentials(credentialsFile)
    return Layer.mergeAll(
      CoreNatsLive({ servers, user: core.user, password: Redacted.value(core.password) }, name),
      WorkNatsLive({ servers, user: api.user, password: Redacted.value(api.password) }, name)
    )
  }))
