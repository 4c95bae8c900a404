/** The connections and layers that a service process needs, from its environment. */
import { readFile } from "node:fs/promises"
import { Config, Duration, Effect, Layer, Option, Redacted, Schema } from "effect"
import type { PeriodLength } from "../../domain/periods.ts"
import { NatsCredentials } from "../nats-server/credentials.ts"
import { CoreNats, CoreNatsLive, NatsFailed, WorkNats, WorkNatsLive } from "./nats.ts"

const Credentials = Schema.fromJsonString(NatsCredentials)

const spanOf = (text: string): number => Option.match(Duration.fromInput(text as Duration.Input), { onNone: () => NaN, onSome: Duration.toMillis })

const PeriodText = Schema.String.check(Schema.makeFilter((text) =>
  text === "month" || text === "none" || (Number.isInteger(spanOf(text)) && spanOf(text) >= 1000) || "month, none, or a span of at least a second such as 7 days"))

const periodSetting = Config.schema(PeriodText, "KILN_PERIOD").pipe(Config.withDefault("month"),
  Config.map((text): PeriodLength | undefined => text === "none" ? undefined : text === "month" ? text : spanOf(text)))

export const natsSettings = Config.all({
  servers: Config.String("KILN_NATS_URL"),
  credentialsFile: Config.String("KILN_NATS_CREDENTIALS"),
  partitions: Config.Int("KILN_PARTITIONS").pipe(Config.withDefault(1)),
  replicas: Config.Int("KILN_REPLICAS").pipe(Config.withDefault(1)),
  period: periodSetting,
  /** A path, or `s3://bucket/prefix`; without it no period is archived, and none that is can be read. */
  archive: Config.String("KILN_ARCHIVE").pipe(Config.withDefault(undefined))
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
