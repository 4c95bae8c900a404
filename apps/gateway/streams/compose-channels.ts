/** Which composes are followed here: each once, however many follow it. */
import { Context, Effect, Layer, RcMap, Scope } from "effect"
import { ComposeId, TenantId } from "../../../domain/ids.ts"
import { EventLog, type LogUnavailable } from "../../../domain/ports/event-log.ts"
import { JobFeed } from "../../../domain/ports/job-feed.ts"
import type { NotFound } from "../api/problems.ts"
import { GatewayConfig } from "../config.ts"
import { type ComposeChannel, openComposeChannel } from "./compose-channel.ts"
import { LogTail } from "./log-tail.ts"

export class ComposeChannels extends Context.Service<ComposeChannels, {
  /** Open for as long as anybody's scope, and a little longer for who comes back. Another tenant's is not there, like one that never was. */
  open(tenantId: TenantId, composeId: ComposeId): Effect.Effect<ComposeChannel, NotFound | LogUnavailable, Scope.Scope>
}>()("gateway/ComposeChannels") {}

const linger = "5 seconds"

/** Each has a share of all that is kept for those who fall behind, but not so little that one page of lines is too much. */
const leastWindow = 16 * 1024
const largestWindow = 1024 * 1024

export const ComposeChannelsLive = Layer.effect(ComposeChannels, Effect.gen(function*() {
  const [log, feed, tail] = [yield* EventLog, yield* JobFeed, yield* LogTail]
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const { windowBytes = 32 * 2 ** 20 } = yield* GatewayConfig
  let open = 0
  const limit = () => Math.min(largestWindow, Math.max(leastWindow, windowBytes / open))

  const channels: RcMap.RcMap<string, ComposeChannel, NotFound | LogUnavailable> = yield* RcMap.make({
    lookup: (key: string) => {
      const [tenantId, composeId] = key.split("/") as [string, string]
      const forget = RcMap.invalidate(channels, key)
      return Effect.gen(function*() {
        open += 1
        yield* Scope.addFinalizer(yield* Effect.scope, Effect.sync(() => void (open -= 1)))
        return yield* openComposeChannel(TenantId.make(tenantId), ComposeId.make(composeId), { limit, broken: forget, run })
      }).pipe(Effect.tapError(() => forget), Effect.provideService(EventLog, log), Effect.provideService(JobFeed, feed), Effect.provideService(LogTail, tail))
    },
    idleTimeToLive: linger
  })
  return ComposeChannels.of({ open: (tenantId, composeId) => RcMap.get(channels, `${tenantId}/${composeId}`) })
}))
