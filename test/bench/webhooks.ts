import { type ChildProcess, fork } from "node:child_process"
import { once } from "node:events"
import { join } from "node:path"
import { setTimeout as sleep } from "node:timers/promises"
import { Effect, Layer, ManagedRuntime, Redacted } from "effect"
import { v7 } from "uuid"
import type { Stack } from "../../apps/standalone/stack.ts"
import { newKey } from "../../apps/webhook-key.ts"
import { ComposeId, Millis, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { composeRef, webhooksRef } from "../../domain/recorded.ts"
import { WebhookAdded } from "../../domain/webhooks.ts"
import { WebhookId } from "../../domain/webhook-settings.ts"
import { EventLogJetStream } from "../../infra/jetstream/event-log.ts"
import { readNatsCredentials } from "../../infra/jetstream/from-environment.ts"
import { CoreNatsLive } from "../../infra/jetstream/nats.ts"
import { SealerFiles } from "../../infra/keys/sealer-files.ts"
import { requested } from "../support/composes.ts"
import { atLeast, atMost, type Bench, percentile, told } from "./bench.ts"
import { peakRss } from "./rss.ts"
import { withStack } from "./stack.ts"
import type { Came, Endpoints } from "./webhook-endpoints.ts"

const perTenant = 100
/** Each is told to all of its tenant's endpoints. */
const eventsPerSecond = 6
const seconds = 60
/** Endpoints turn out to be dead first, connections are opened, code is compiled. */
const warmUp = 15

export const webhooks: Bench = {
  name: "webhooks",
  about: "milliseconds from a decision to its arrival at endpoints that live, with --webhooks of them (10,000 unless said) and every tenth dead",
  run: (say, { webhooks: count }) =>
    withStack({ processes: ["webhooks"], env: { KILN_WEBHOOK_NETWORKS: "127.0.0.0/8" } }, async (stack) => {
      const child = fork(join(import.meta.dirname, "webhook-endpoints.ts"), { execArgv: [] })
      const log = ManagedRuntime.make(ports(stack))
      try {
        const [endpoints] = await once(child, "message") as [Endpoints]
        const tenants = Array.from({ length: Math.ceil(count / perTenant) }, (_, at) => TenantId.make(`t-${at}`))
        say(`adding ${count} webhooks of ${tenants.length} tenants`)
        for (const [at, tenantId] of tenants.entries()) await log.runPromise(addWebhooks(tenantId, endpoints, Math.min(perTenant, count - at * perTenant)))
        say(`${eventsPerSecond} events a second for ${seconds} s, each to all of its tenant's webhooks`)
        const expected = await load(tenants, (tenantId) => log.runPromise(happen(tenantId)), child)
        const came = await all(child, expected.whole)
        return [
          told("webhooks", count, ""), told("of them dead", Math.floor(count / 10), ""),
          told("sent to those that live", expected.sent * perTenant * 0.9 / (seconds - warmUp), "deliveries/s"),
          told("late p50", percentile(came.late, 0.5), "ms"), atMost("late p99", percentile(came.late, 0.99), 1000, "ms"),
          atLeast("arrived", came.count / expected.whole, 1, "of 1"),
          told("memory, at its peak", await peakRss(stack.processes.get("webhooks")!.pid), "MiB")
        ]
      } finally {
        await log.dispose()
        child.kill()
      }
    })
}

const ports = (stack: Stack) =>
  Layer.merge(
    EventLogJetStream({ partitions: 1, replicas: 1 }).pipe(Layer.provide(Layer.unwrap(Effect.map(
      readNatsCredentials(join(stack.home, "nats", "nats-credentials.json")),
      ({ core }) => CoreNatsLive({ servers: stack.natsUrl, user: core.user, password: Redacted.value(core.password) }, "bench"))))),
    SealerFiles(join(stack.home, "keys")))

/** Every tenth is dead, in one of three ways. */
const urlOf = ({ closed, hanging, live, refusing }: Endpoints, at: number, id: string) =>
  `${at % 10 === 9 ? [hanging, refusing, closed][Math.floor(at / 10) % 3]! : live}/${id}`

const addWebhooks = Effect.fnUntraced(function*(tenantId: TenantId, endpoints: Endpoints, count: number) {
  const sealer = yield* Sealer
  const added = yield* Effect.forEach(Array.from({ length: count }, (_, at) => at), Effect.fnUntraced(function*(at) {
    const webhookId = WebhookId.make(v7())
    return WebhookAdded.make({ webhookId, settings: { url: urlOf(endpoints, at, webhookId) }, key: yield* sealer.seal(tenantId, newKey()) })
  }))
  const [first, ...others] = added
  yield* (yield* EventLog).append(webhooksRef(tenantId), 0, { messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "bench" }, events: [first!, ...others] })
})

const happen = Effect.fnUntraced(function*(tenantId: TenantId) {
  const composeId = ComposeId.make(v7())
  yield* (yield* EventLog).append(composeRef(tenantId, composeId), 0, {
    messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "bench" }, events: [{ ...requested, composeId }]
  })
})

/** In turns. `whole`: what has to arrive in all; `sent` and `late`: since it was warm. */
const load = async (tenants: ReadonlyArray<TenantId>, happens: (tenantId: TenantId) => Promise<void>, child: ChildProcess) => {
  const begun = performance.now()
  let [events, cold] = [0, 0]
  let warm = false
  while (performance.now() - begun < seconds * 1000) {
    await happens(tenants[events % tenants.length]!)
    events += 1
    if (!warm && performance.now() - begun > warmUp * 1000) {
      warm = true
      cold = events
      await cameSoFar(child)
    }
    await sleep(Math.max(0, begun + (events * 1000) / eventsPerSecond - performance.now()))
  }
  return { whole: events * perTenant * 0.9, sent: events - cold }
}

const cameSoFar = async (child: ChildProcess): Promise<Came> => {
  child.send("?")
  return (await once(child, "message") as [Came])[0]
}

/** Waits for the last of them, for a while. */
const all = async (child: ChildProcess, expected: number): Promise<Came> => {
  const late: Array<number> = []
  for (let patience = 100; patience > 0; patience--) {
    const came = await cameSoFar(child)
    late.push(...came.late)
    if (came.count >= expected) return { count: came.count, late }
    await sleep(200)
  }
  return { count: (await cameSoFar(child)).count, late }
}
