/** Three nats-servers that are one cluster, in a temporary folder. */
import { Context, Effect, Layer, Redacted, Scope } from "effect"
import { CoreNatsLive, WorkNatsLive } from "../../infra/jetstream/nats.ts"
import { natsServerBinary } from "../../infra/nats-server/binary.ts"
import { natsCluster, whole } from "../../infra/nats-server/cluster.ts"
import type { NatsServer } from "../../infra/nats-server/nats-server.ts"
import { temporaryFolder } from "./servers.ts"

/** All of them running; each can be killed and started again. */
export const threeNodes = Effect.gen(function*() {
  const scope = yield* Effect.scope
  const dir = yield* temporaryFolder
  const { credentials, nodes } = yield* natsCluster({ binary: natsServerBinary(), dir, durable: false })
  const servers = new Map<string, NatsServer>()
  const start = (name: string) =>
    nodes.find((node) => node.name === name)!.start.pipe(Scope.provide(scope), Effect.tap((server) => Effect.sync(() => servers.set(name, server))))
  yield* Effect.forEach(nodes, ({ name }) => start(name), { concurrency: "unbounded" })
  const isWhole = whole(() => [...servers.values()])
  yield* isWhole
  const login = ({ password, user }: typeof credentials.core) =>
    ({ servers: nodes.map(({ url }) => url).join(","), user, password: Redacted.value(password) })
  const signal = (name: string, what: NodeJS.Signals) => Effect.suspend(() => servers.get(name)!.kill(what))
  const urlOf = (name: string) => nodes.find((node) => node.name === name)!.url
  return { dir, urlOf, start, signal, isWhole, core: login(credentials.core), work: login(credentials.api) }
}).pipe(Effect.orDie)

/** The same as a layer, with both accounts. */
export class ThreeNodes extends Context.Service<ThreeNodes, Effect.Success<typeof threeNodes>>()("test/ThreeNodes") {
  static readonly layer = Layer.effect(ThreeNodes, threeNodes)
  static readonly accounts = Layer.unwrap(Effect.map(ThreeNodes, ({ core, work }) =>
    Layer.mergeAll(CoreNatsLive(core, "test"), WorkNatsLive(work, "test")))).pipe(Layer.provideMerge(ThreeNodes.layer))
}
