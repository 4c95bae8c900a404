/** The two accounts of a test's own nats-server as layers. */
import { Effect, Layer, Redacted } from "effect"
import { CoreNatsLive, WorkNatsLive } from "../../infra/jetstream/nats.ts"
import { TestNats } from "./servers.ts"

export const TestAccounts = Layer.unwrap(Effect.map(TestNats, ({ url, credentials: { core, api } }) =>
  Layer.mergeAll(
    CoreNatsLive({ servers: url, user: core.user, password: Redacted.value(core.password) }, "test"),
    WorkNatsLive({ servers: url, user: api.user, password: Redacted.value(api.password) }, "test")
  )))
