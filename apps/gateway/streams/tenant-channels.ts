/** Which tenants' events are followed here: each once, however many follow them. */
import { Context, Effect, Layer, RcMap, Scope, Semaphore } from "effect"
import type { TenantId } from "../../../domain/ids.ts"
import { EventLog, type LogUnavailable } from "../../../domain/ports/event-log.ts"
import { GatewayConfig } from "../config.ts"
import { LogTail } from "./log-tail.ts"
import { openTenantChannel, type TenantChannel } from "./tenant-channel.ts"

export class TenantChannels extends Context.Service<TenantChannels, {
  /** Open for as long as anybody's scope, and a little longer for who comes back. */
  open(tenantId: TenantId): Effect.Effect<TenantChannel, LogUnavailable, Scope.Scope>
}>()("gateway/TenantChannels") {}

/** Who comes back from another gateway that stops should find what it has missed. */
const linger = "1 minute"

const leastWindow = 32 * 1024
const largestWindow = 4 * 2 ** 20
const mostHistorians = 16

export const TenantChannelsLive = Layer.effect(TenantChannels, Effect.gen(function*() {
  const [log, tail] = [yield* EventLog, yield* LogTail]
  const run = Effect.runForkWith(yield* Effect.context<never>())
  const { deployment = "kiln", windowBytes = 32 * 2 ** 20 } = yield* GatewayConfig
  const historians = Semaphore.makeUnsafe(mostHistorians)
  let open = 0
  const limit = () => Math.min(largestWindow, Math.max(leastWindow, windowBytes / open))

  const channels: RcMap.RcMap<TenantId, TenantChannel, LogUnavailable> = yield* RcMap.make({
    lookup: (tenantId: TenantId) => {
      const forget = RcMap.invalidate(channels, tenantId)
      return Effect.gen(function*() {
        open += 1
        yield* Scope.addFinalizer(yield* Effect.scope, Effect.sync(() => void (open -= 1)))
        return yield* openTenantChannel(tenantId, { deployment, historians, limit, broken: forget, run })
      }).pipe(Effect.tapError(() => forget), Effect.provideService(EventLog, log), Effect.provideService(LogTail, tail))
    },
    idleTimeToLive: linger
  })
  return TenantChannels.of({ open: (tenantId) => RcMap.get(channels, tenantId) })
}))
