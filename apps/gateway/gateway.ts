/** The gateway without its ports: what a process or a test gives them to. */
import { createServer } from "node:http"
import * as NodeHttpServer from "@effect/platform-node/NodeHttpServer"
import { Effect, Layer } from "effect"
import { HttpRouter } from "effect/http"
import { HttpApiBuilder } from "effect/http-api"
import { AccountsLive } from "../accounts.ts"
import { AnswersLive } from "./answers.ts"
import { KilnApi, prefix } from "./api/kiln-api.ts"
import { AuthorizationLive } from "./authorize.ts"
import { BlueprintsLive } from "./blueprints.ts"
import { BootsLive } from "./boots.ts"
import { ComposesLive } from "./composes.ts"
import { CopiesLive } from "./copies.ts"
import { CredentialsLive } from "./credentials.ts"
import { DepsolveLive } from "./depsolve.ts"
import { DownloadsLive } from "./downloads.ts"
import { EventsLive } from "./events.ts"
import { EvidenceLive, KeysLive } from "./evidence.ts"
import { FilesLive } from "./files.ts"
import { HistoryLive } from "./history.ts"
import { RequestLimitsLive } from "./limit-requests.ts"
import { OffersLive } from "./offers.ts"
import { OperationLive } from "./operation.ts"
import { PagesLive } from "./pages.ts"
import { PipelinesLive } from "./pipelines.ts"
import { ReaperLive } from "./reaper.ts"
import { ReservationsLive } from "./reserve-quota.ts"
import { ComposeChannelsLive } from "./streams/compose-channels.ts"
import { LogTailLive } from "./streams/log-tail.ts"
import { Readers, ReadersLive } from "./streams/readers.ts"
import { TenantChannelsLive } from "./streams/tenant-channels.ts"
import { TargetsLive } from "./targets.ts"
import { TenantsLive } from "./tenants.ts"
import { WebhooksLive } from "./webhooks.ts"

const StreamsLive = Layer.mergeAll(ComposeChannelsLive, TenantChannelsLive).pipe(Layer.provide(LogTailLive))

const ApiLive = HttpApiBuilder.layer(KilnApi, { openapiPath: `${prefix}/openapi.json` }).pipe(
  Layer.provide([
    ComposesLive, BlueprintsLive, EventsLive, OffersLive, DepsolveLive, DownloadsLive, EvidenceLive, BootsLive, FilesLive, KeysLive,
    TenantsLive, HistoryLive, CredentialsLive, CopiesLive, PipelinesLive, TargetsLive, ReaperLive, WebhooksLive, OperationLive
  ]),
  Layer.provide([ReadersLive, StreamsLive]),
  Layer.provide(AuthorizationLive),
  Layer.provide([ReservationsLive, RequestLimitsLive]),
  Layer.provide(AccountsLive)
)

/** Readers are told to go before the server stops, which would wait for them. */
const DismissalLive = Layer.effectDiscard(Effect.gen(function*() {
  const { dismiss } = yield* Readers
  yield* Effect.addFinalizer(() => dismiss)
}))

/** Answers requests for as long as the layer lives. Provide a `HttpServer`, or use `gatewayOn`. */
export const gateway = DismissalLive.pipe(
  Layer.provideMerge(HttpRouter.serve(Layer.mergeAll(ApiLive, PagesLive, AnswersLive), {
    disableLogger: true,
    disableListenLog: true,
    routerConfig: { maxParamLength: 2000 }
  })),
  Layer.provide(ReadersLive)
)

/** Whoever does not take what was said to it last is waited for no longer than this. */
const farewell = "2 seconds"

/** Also gives the `HttpServer`, whose address tells the port when 0 was asked for. */
export const gatewayOn = (options: { readonly port: number; readonly host?: string }) =>
  Layer.provideMerge(gateway, NodeHttpServer.layer(() => createServer(), {
    port: options.port, host: options.host ?? "127.0.0.1", gracefulShutdownTimeout: farewell
  }))
