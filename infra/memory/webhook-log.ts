import { Effect, Layer } from "effect"
import { WebhookLog } from "../../projections/webhook-log.ts"

/** Where nobody delivers anything. */
export const WebhookLogNone = Layer.succeed(WebhookLog, WebhookLog.of({
  list: () => Effect.succeed([]), find: () => Effect.succeed(undefined), failing: () => Effect.succeed(new Map()), parked: () => Effect.succeed([])
}))
