/** Sends what waits: each webhook at its own pace, so that one that does not answer holds up no other. */
import { Clock, Effect, FiberSet, Metric, Random } from "effect"
import { v7 } from "uuid"
import { Millis, type TenantId } from "../../domain/ids.ts"
import type { EventLog } from "../../domain/ports/event-log.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { type DeliveriesUnavailable, type Settled, type WaitingDelivery, WebhookDeliveries } from "../../domain/ports/webhook-deliveries.ts"
import { type Answer, WebhookSender } from "../../domain/ports/webhook-sender.ts"
import { type Failing, WebhookQueue } from "../../domain/webhook-queue.ts"
import { pauseAfter, type RetryPolicy } from "../../domain/webhook-retry.ts"
import { DisableWebhook, type DisabledBecause, liveKeys, type Webhook } from "../../domain/webhooks.ts"
import type { WebhookId } from "../../domain/webhook-settings.ts"
import { executeOnWebhooks } from "../tenant-webhooks.ts"
import { Bodies } from "./bodies.ts"
import type { Directory } from "./directory.ts"
import { attempts, delay, disabled } from "./metrics.ts"
import { signatureHeaders } from "./sign.ts"

interface Line {
  readonly queue: WebhookQueue<WaitingDelivery>
  /** Whether something may wait where it is stored that is not in memory: it comes after all that is. */
  more: boolean
  loading: boolean
  timer: NodeJS.Timeout | undefined
  /** Opened, for a short while. */
  keys: { readonly texts: ReadonlyArray<string>; readonly until: number } | undefined
}

/** What waits for one webhook is in memory as far as this; the rest is read when these have become few. */
const window = 256
const few = 64
/** Requests that may be under way and young; those that have taken longer than that wait for somebody slow, and count no more. */
const mostYoung = 2000
const youth = 1000
const keysForMs = 30_000

export interface Dispatcher {
  /** In the order of their ids, once they are stored. */
  readonly add: (waiting: ReadonlyArray<WaitingDelivery>) => void
  /** Something may be stored for it that was not added. */
  readonly resume: (webhookId: WebhookId, failing?: Failing) => void
  readonly drop: (webhookId: WebhookId) => void
  readonly forgetKeys: (webhookId: WebhookId) => void
  readonly waitingFor: (webhookId: WebhookId) => number
  readonly failing: () => number
  readonly bodies: Bodies
  /** Fails when what has happened cannot be recorded any more. */
  readonly broken: Effect.Effect<void, DeliveriesUnavailable>
}

export const bodyKey = (tenantId: TenantId, occurrence: string) => `${tenantId}/${occurrence}`

export const makeDispatcher = Effect.fnUntraced(function*(directory: Directory, retries: RetryPolicy) {
  const deliveries = yield* WebhookDeliveries
  const sender = yield* WebhookSender
  const sealer = yield* Sealer
  const fibers = yield* FiberSet.make<void, DeliveriesUnavailable>()
  const run = yield* FiberSet.runtime(fibers)<EventLog>()
  const bodies = new Bodies()
  const lines = new Map<WebhookId, Line>()
  const held = new Set<WebhookId>()
  let young = 0

  yield* Effect.addFinalizer(() => Effect.sync(() => lines.forEach(({ timer }) => clearTimeout(timer))))

  const lineOf = (webhookId: WebhookId, failing?: Failing): Line => {
    const known = lines.get(webhookId)
    if (known !== undefined) return known
    const line: Line = { queue: new WebhookQueue(failing), more: false, loading: false, timer: undefined, keys: undefined }
    lines.set(webhookId, line)
    return line
  }

  const pump = (webhookId: WebhookId): void => {
    const line = lines.get(webhookId)
    if (line === undefined) return
    clearTimeout(line.timer)
    line.timer = undefined
    for (;;) {
      if (young >= mostYoung) {
        held.add(webhookId)
        break
      }
      const next = line.queue.next(Date.now())
      if (next === undefined) break
      const ageing = aged()
      run(Effect.ensuring(attempt(line, next), Effect.sync(ageing)))
    }
    if (line.more && line.queue.size < few) load(webhookId, line)
    const wakeAt = line.queue.wakeAt()
    if (wakeAt !== undefined && young < mostYoung) line.timer = setTimeout(() => pump(webhookId), Math.min(Math.max(wakeAt - Date.now(), 1), 2 ** 30))
    else if (line.queue.size === 0 && !line.more && !line.loading && line.queue.failing === undefined) lines.delete(webhookId)
  }

  /** Counts one more as young until it is over, or is not young any more. */
  const aged = () => {
    young += 1
    let counts = true
    const grow = () => {
      if (!counts) return
      counts = false
      clearTimeout(timer)
      young -= 1
      const [first] = held
      if (first === undefined) return
      held.delete(first)
      pump(first)
    }
    const timer = setTimeout(grow, youth)
    return grow
  }

  const load = (webhookId: WebhookId, line: Line): void => {
    if (line.loading) return
    line.loading = true
    line.more = false
    run(Effect.gen(function*() {
      const found = yield* deliveries.waiting(webhookId, line.queue.newest, window)
      for (const each of found) line.queue.add(each)
      line.more ||= found.length === window
      line.loading = false
      pump(webhookId)
    }))
  }

  const keysOf = Effect.fnUntraced(function*(line: Line, tenantId: TenantId, webhook: Webhook) {
    const now = Date.now()
    if (line.keys !== undefined && now < line.keys.until) return line.keys.texts
    const sealed = liveKeys(webhook, now)
    const texts = yield* Effect.forEach(sealed, (key) => sealer.open(tenantId, key)).pipe(Effect.orElseSucceed(() => []))
    const { oldUntil = Infinity } = webhook
    line.keys = { texts, until: Math.min(now + keysForMs, oldUntil > now ? oldUntil : Infinity) }
    return texts
  })

  const letterOf = (webhook: Webhook, id: string, body: string, keys: ReadonlyArray<string>) => ({
    url: webhook.settings.url, body,
    headers: {
      "content-type": "application/cloudevents+json; charset=utf-8", "user-agent": "Kiln-Webhooks/1", ...signatureHeaders(id, Math.floor(Date.now() / 1000), body, keys)
    }
  })

  const send = Effect.fnUntraced(function*(line: Line, webhook: Webhook, { occurrence, tenantId, webhookId }: WaitingDelivery) {
    const key = bodyKey(tenantId, occurrence)
    const body = bodies.get(key) ?? (yield* deliveries.body({ tenantId, webhookId, occurrence }))
    const keys = yield* keysOf(line, tenantId, webhook)
    if (body === undefined || keys.length === 0) return unsendable(body === undefined ? "what was to be sent is gone" : "the key to sign with cannot be opened")
    return yield* sender.send(letterOf(webhook, occurrence, body, keys))
  })

  const attempt = Effect.fnUntraced(function*(line: Line, delivery: WaitingDelivery) {
    const { tenantId, webhookId } = delivery
    const webhook = directory.get(tenantId, webhookId)
    if (webhook === undefined || (webhook.disabled !== undefined && !delivery.once)) {
      line.queue.givenUp(delivery)
      return pump(webhookId)
    }
    const begun = performance.now()
    const answer = yield* send(line, webhook, delivery)
    const tookMs = Math.round(performance.now() - begun)
    const arrived = answer.status !== undefined && answer.status >= 200 && answer.status < 300
    yield* Metric.update(Metric.withAttributes(attempts, { outcome: arrived ? "arrived" : answer.status === undefined ? "unanswered" : "refused" }), 1)
    const settled = { id: delivery.id, attempts: delivery.attempts + 1, notBefore: 0, attemptedAt: Date.now(), tookMs, ...wordsOf(answer) }
    yield* arrived ? whenArrived(line, delivery, settled) : whenFailed(line, delivery, settled, answer)
    pump(webhookId)
  })

  type Outcome = Omit<Settled, "state">

  const whenArrived = Effect.fnUntraced(function*(line: Line, delivery: WaitingDelivery, settled: Outcome) {
    const wasFailing = line.queue.failing !== undefined
    line.queue.arrived(delivery)
    pump(delivery.webhookId)
    if (delivery.attempts === 0) yield* Metric.update(delay, (Date.now() - delivery.plannedAt) / 1000)
    yield* deliveries.settle({ ...settled, state: "delivered" })
    if (wasFailing) yield* deliveries.setFailing(delivery.tenantId, delivery.webhookId, undefined)
  })

  const whenFailed = Effect.fnUntraced(function*(line: Line, delivery: WaitingDelivery, settled: Outcome, answer: Answer) {
    const { plannedAt, tenantId, webhookId } = delivery
    const now = Date.now()
    if (delivery.once) {
      line.queue.givenUp(delivery)
      return yield* deliveries.settle({ ...settled, state: "parked" })
    }
    const jitter = yield* Random.next
    // Who says that it is gone is not asked again while the log has yet to tell that it is disabled.
    const pause = (failures: number) => answer.status === 410 ? retries.longestMs : pauseAfter(retries, failures, jitter, answer.retryAfterMs)
    const notBefore = now + pause(settled.attempts)
    line.queue.failed(delivery, { ...delivery, urgent: false, attempts: settled.attempts, notBefore }, now, pause)
    const over = now - plannedAt >= retries.forMs
    if (over) giveUp(line, now)
    yield* deliveries.settle({ ...settled, notBefore, state: over ? "parked" : "waiting" })
    if (over) yield* deliveries.parkOlder(webhookId, now - retries.forMs + 1, "nothing has arrived there for too long")
    const { failing } = line.queue
    if (failing === undefined) return
    yield* deliveries.setFailing(tenantId, webhookId, failing)
    if (answer.status === 410) yield* disable(tenantId, webhookId, "gone", failing, settled)
    else if (line.queue.isDown && now - failing.since >= retries.disableAfterMs) yield* disable(tenantId, webhookId, "failing", failing, settled)
  })

  /** Whatever has waited for as long went the same way. */
  const giveUp = (line: Line, now: number) => void line.queue.discard(({ plannedAt }) => now - plannedAt >= retries.forMs)

  const disable = Effect.fnUntraced(function*(tenantId: TenantId, webhookId: WebhookId, because: DisabledBecause, { since }: Failing, { error, status }: Outcome) {
    const intent = { tenantId, messageId: v7(), at: Millis.make(yield* Clock.currentTimeMillis), actor: { kind: "system", id: "webhooks" } as const }
    const command = DisableWebhook.make({ webhookId, because, failingSince: Millis.make(since), lastError: error ?? `answered ${status}` })
    yield* executeOnWebhooks(intent, command).pipe(
      Effect.tap(() => Metric.update(disabled, 1)),
      Effect.tap(() => Effect.logWarning("a webhook is disabled, since nothing arrives there", { tenantId, webhookId, because })),
      Effect.catch(({ message }) => Effect.logWarning(message))
    )
  })

  const dispatcher: Dispatcher = {
    bodies,
    broken: FiberSet.join(fibers),
    add: (waiting) => {
      const touched = new Set<WebhookId>()
      for (const each of waiting) {
        const line = lineOf(each.webhookId)
        // What is stored before it has to come in before it.
        if (line.more || line.loading || line.queue.size >= window) line.more = true
        else line.queue.add(each)
        touched.add(each.webhookId)
      }
      touched.forEach(pump)
    },
    resume: (webhookId, failing) => {
      lineOf(webhookId, failing).more = true
      pump(webhookId)
    },
    drop: (webhookId) => {
      const line = lines.get(webhookId)
      if (line === undefined) return
      line.queue.discard(() => true)
      line.queue.failing = undefined
      line.more = false
      pump(webhookId)
    },
    forgetKeys: (webhookId) => {
      const line = lines.get(webhookId)
      if (line !== undefined) line.keys = undefined
    },
    waitingFor: (webhookId) => lines.get(webhookId)?.queue.size ?? 0,
    failing: () => [...lines.values()].filter(({ queue }) => queue.isDown).length
  }
  return dispatcher
})

const unsendable = (error: string): Answer => ({ status: undefined, error, excerpt: undefined, retryAfterMs: undefined })

/** A redirect is an answer like others: it is not followed. */
const wordsOf = ({ error, excerpt, status }: Answer): Pick<Settled, "error" | "excerpt" | "status"> =>
  ({ status, excerpt, error: status !== undefined && status >= 300 && status < 400 ? "redirects are not followed" : error })
