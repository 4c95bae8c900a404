/** Logs for the `kiln` command: each a server of its own, with what reaches it in this process and what tells a command where it is. */
import { Context, Effect, Layer, Redacted } from "effect"
import type { LogPorts } from "../../apps/operator/adapters.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { BlobsJetStream } from "../../infra/jetstream/blobs.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { LogCopiesJetStream } from "../../infra/jetstream/log-copies.ts"
import { LogServerJetStream } from "../../infra/jetstream/log-server.ts"
import { CoreNats } from "../../infra/jetstream/nats.ts"
import { ParkedJetStream } from "../../infra/jetstream/parked.ts"
import { PeriodsJetStream } from "../../infra/jetstream/periods.ts"
import { TestAccounts } from "./nats-layers.ts"
import { TestNats } from "./servers.ts"

export interface StoredMessage {
  readonly subject: string
  readonly id: string
  readonly data: Buffer
}

/** As the server has it, be it readable or not. */
export const messagesIn = ({ jsm }: CoreNats["Service"], stream: string) =>
  Effect.promise(async () => {
    const found: Array<StoredMessage> = []
    const { state } = await jsm.streams.info(stream)
    for (let seq = 1; seq <= state.last_seq; seq += 1) {
      const message = await jsm.streams.getMessage(stream, { seq })
      found.push({ subject: message!.subject, id: message!.header.get("Nats-Msg-Id"), data: Buffer.from(message!.data) })
    }
    return found
  })

/** Nothing is in it, and no process of Kiln has seen it. */
export const emptyServer = Effect.gen(function*() {
  const context = yield* Layer.build(Layer.fresh(TestAccounts.pipe(Layer.provideMerge(TestNats.layer))))
  const { credentials: { core }, url } = Context.get(context, TestNats)
  const nats = new URL(url)
  Object.assign(nats, { username: core.user, password: Redacted.value(core.password) })
  return { context, nats: nats.href, core: Context.get(context, CoreNats) }
})

/** What the command's own process has of it, made anew for each command. */
export const operatorPorts = (context: Context.Context<CoreNats>, archive?: string): Layer.Layer<LogPorts, { readonly message: string }> => {
  const config = { partitions: 1, replicas: 1, archive }
  return Layer.fresh(Layer.mergeAll(EventLogJetStream(config), PeriodsJetStream(config), LogCopiesJetStream(config), BlobsJetStream(config), ParkedJetStream(config), LogServerJetStream)).pipe(
    Layer.provide(Layer.succeedContext(context)))
}

/** In periods of a second. */
export const logIn = Effect.fnUntraced(function*(context: Context.Context<CoreNats>, archive?: string) {
  const config = { partitions: 1, replicas: 1, period: 1000, archive }
  const ports = yield* Layer.build(Layer.fresh(Layer.merge(EventLogJetStream(config), PeriodsJetStream(config)))).pipe(Effect.provideContext(context))
  return { log: Context.get(ports, EventLog), ports }
})
