/** Several gateways over one real log: what they admit together is exactly what the policy says. */
import { Agent, request } from "node:http"
import { text } from "node:stream/consumers"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Effect, Exit, Layer, Redacted, Scope, Stream } from "effect"
import type { PolicyFile } from "../../../domain/policy.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { StandingPolicies } from "../../../domain/ports/standing-policies.ts"
import { EventLogJetStream } from "../../../infra/jetstream/event-log.ts"
import { CoreNatsLive } from "../../../infra/jetstream/nats.ts"
import { RateLimitsJetStream } from "../../../infra/jetstream/rate-limits.ts"
import { SnapshotsJetStream } from "../../../infra/jetstream/snapshots.ts"
import { type NatsForTests, natsServer } from "../../support/servers.ts"
import { api, aRequest, type Gateway, openGateway } from "./harness.ts"

const one = { partitions: 1, replicas: 1 }
const policies: PolicyFile = {
  defaults: { composes: [{ count: 1234, windowMs: 24 * 3_600_000 }, { count: 5000, windowMs: 7 * 24 * 3_600_000 }] },
  tenants: { rated: { composes: [], tenantRate: { perSecond: 20, burst: 300 } } } as never
}

const scope = Effect.runSync(Scope.make())
let nats: NatsForTests
let gateways: ReadonlyArray<Gateway>

const openOn = ({ credentials: { core }, url }: NatsForTests) =>
  openGateway({}, Layer.mergeAll(EventLogJetStream(one), RateLimitsJetStream(one), SnapshotsJetStream(one)).pipe(
    Layer.provide(CoreNatsLive({ servers: url, user: core.user, password: Redacted.value(core.password) }, "gateway")),
    Layer.merge(Layer.succeed(StandingPolicies, policies)), Layer.orDie) as Layer.Layer<never>)

beforeAll(async () => {
  nats = await Effect.runPromise(Scope.provide(scope)(natsServer))
  gateways = await Promise.all([openOn(nats), openOn(nats), openOn(nats)])
})
afterAll(async () => {
  await Promise.all(gateways.map((gateway) => gateway.close()))
  await Effect.runPromise(Scope.close(scope, Exit.void))
})

interface Answer {
  readonly status: number
  readonly body: string
  readonly retryAfter: string | undefined
}

const sender = (gateway: Gateway, token: string) => {
  const agent = new Agent({ keepAlive: true, maxSockets: 300 })
  const send = (method: string, path: string, body = "") =>
    new Promise<Answer>((resolve, reject) => {
      const asking = request(`${gateway.url}${path}`, { method, agent, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } },
        (response) => {
          text(response).then((body) => resolve({ status: response.statusCode!, body, retryAfter: response.headers["retry-after"] }), reject)
        })
      asking.on("error", reject).end(body)
    })
  return { send, close: () => agent.destroy() }
}

const sendersFor = (tenant: string) => Promise.all(gateways.map(async (gateway) => sender(gateway, await gateway.token({ tenant, ttl: 600_000 }))))

describe("three gateways", () => {
  it("that are asked for 10,000 composes at once accept exactly the quota, and refuse all others with 429 and the rule", async () => {
    const senders = await sendersFor("acme")
    const body = JSON.stringify(aRequest)
    const answers = await Promise.all(Array.from({ length: 10_000 }, (_, n) => senders[n % 3]!.send("POST", `${api}/composes`, body)))
    senders.forEach(({ close }) => close())
    const accepted = answers.filter(({ status }) => status === 202)
    expect(accepted.length).toBe(1234)
    for (const { body, retryAfter, status } of answers.filter((answer) => !accepted.includes(answer))) {
      expect(status).toBe(429)
      expect(JSON.parse(body)).toMatchObject({ type: "urn:kiln:problem:quota-exceeded", rule: "composes", limit: 1234, used: 1234, window: "1 day" })
      expect(Number(retryAfter)).toBeGreaterThan(86_000)
    }
    const inLog = await gateways[0]!.run(Effect.gen(function*() {
      const log = yield* EventLog
      const head = yield* log.head("EVENTS")
      const entries = yield* log.follow("EVENTS", 0).pipe(Stream.take(head), Stream.runCollect)
      return entries.flatMap((entry) => entry._tag === "Recorded" && entry.aggregate === "compose" ? [entry.id] : [])
    }))
    expect(new Set(inLog)).toEqual(new Set(accepted.map(({ body }) => (JSON.parse(body) as { id: string }).id)))
  })

  it("admit together never more requests than the bucket allows, and all that it holds", async () => {
    const senders = await sendersFor("rated")
    const begun = Date.now()
    const answers = await Promise.all(Array.from({ length: 3000 }, (_, n) => senders[n % 3]!.send("GET", `${api}/distributions`)))
    const seconds = (Date.now() - begun) / 1000
    senders.forEach(({ close }) => close())
    const admitted = answers.filter(({ status }) => status === 200).length
    expect(answers.filter(({ status }) => status !== 200 && status !== 429)).toEqual([])
    expect(admitted).toBeLessThanOrEqual(300 + seconds * 20)
    expect(admitted).toBeGreaterThanOrEqual(250)
  })
})
