/** Tells tenants' endpoints what happens. Of several processes one works, the others wait for it to go. */
import { Duration, Effect, Metric, Queue, Schedule } from "effect"
import { WebhookDeliveries } from "../../domain/ports/webhook-deliveries.ts"
import { type RetryPolicy, usualRetries } from "../../domain/webhook-retry.ts"
import { openDesk, resumeAll } from "./desk.ts"
import { followLog } from "./follow-log.ts"
import { failed, failingEndpoints, oldest, parked, waiting } from "./metrics.ts"
import { runReplays } from "./replay.ts"

export interface WebhooksConfig {
  /** The installation's name, in each event's `source`. */
  readonly deployment: string
  readonly retries?: RetryPolicy
  /** For how long what has been settled is kept. */
  readonly keepMs: number
  readonly onReady?: Effect.Effect<void>
  readonly onWaiting?: Effect.Effect<void>
}

const figuresEvery = "15 seconds"
const pruneEvery = "10 minutes"

/** Goes on for ever. */
export const runWebhooks = Effect.fn("runWebhooks")(function*(
  { deployment, keepMs, onReady = Effect.void, onWaiting = Effect.void, retries = usualRetries }: WebhooksConfig
) {
  const deliveries = yield* WebhookDeliveries
  const work = Effect.scoped(Effect.gen(function*() {
    const asked = yield* Queue.sliding<true>(1)
    const desk = yield* openDesk(deployment, retries, () => void Queue.offerUnsafe(asked, true))
    yield* resumeAll(desk)
    yield* onReady
    const loops = [followLog(desk), runReplays(desk, asked), desk.dispatcher.broken, keep(keepMs), figures(desk.dispatcher.failing)] as const
    yield* Effect.all(loops, { concurrency: "unbounded", discard: true })
  }))
  return yield* deliveries.alone(work).pipe(
    Effect.tapError((error) => Effect.andThen(onWaiting, Effect.logWarning(error.message, { error: error._tag }))),
    Effect.retry(Schedule.spaced("500 millis")),
    Effect.andThen(Effect.never)
  )
})

const keep = (keepMs: number) =>
  Effect.gen(function*() {
    const pruned = yield* (yield* WebhookDeliveries).prune(Date.now() - keepMs)
    if (pruned > 0) yield* Effect.logInfo("old deliveries are forgotten", { deliveries: pruned })
  }).pipe(Effect.repeat(Schedule.spaced(pruneEvery)))

const figures = (failing: () => number) =>
  Effect.gen(function*() {
    const now = yield* (yield* WebhookDeliveries).figures
    yield* Metric.update(waiting, now.waiting)
    yield* Metric.update(failed, now.failed)
    yield* Metric.update(parked, now.parked)
    yield* Metric.update(oldest, now.oldestAt === undefined ? 0 : Duration.toSeconds(Math.max(0, Date.now() - now.oldestAt)))
    yield* Metric.update(failingEndpoints, failing())
  }).pipe(Effect.repeat(Schedule.spaced(figuresEvery)))
