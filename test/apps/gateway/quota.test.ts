/** Quotas as requesters meet them. */
import { afterEach, describe, expect, it } from "vitest"
import { Effect, Layer } from "effect"
import { v7 } from "uuid"
import { ComposeCanceled } from "../../../domain/compose-events.ts"
import { neverRequested } from "../../../domain/compose-ending.ts"
import { ComposeId, Digest, TenantId } from "../../../domain/ids.ts"
import type { PolicyFile } from "../../../domain/policy.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { StandingPolicies } from "../../../domain/ports/standing-policies.ts"
import { Idempotency } from "../../../domain/ports/idempotency.ts"
import { accountRef, composeRef } from "../../../domain/recorded.ts"
import { decisionOf, requested } from "../../support/composes.ts"
import { aRequest, type Gateway, openGateway } from "./harness.ts"

const day = 24 * 3_600_000
let gateway: Gateway
const open = async (file: PolicyFile) => gateway = await openGateway({}, Layer.succeed(StandingPolicies, file))
afterEach(() => gateway.close())

const accountOf = (tenant = "acme") =>
  gateway.run(Effect.flatMap(EventLog, (log) => log.read(accountRef(TenantId.make(tenant)))))
const composes = (count: number, windowMs = day): PolicyFile => ({ defaults: { composes: [{ count, windowMs }] } })

describe("a quota of composes", () => {
  it("lets as many in as it says, and answers the next with its rule and when to come again", async () => {
    await open(composes(2))
    const before = Date.now()
    const accepted = await Promise.all([gateway.post(aRequest), gateway.post(aRequest)])
    expect(accepted.map(({ status }) => status)).toEqual([202, 202])
    const refused = await gateway.post(aRequest)
    const body = await refused.json() as { resets_at: string }
    expect(refused.status).toBe(429)
    expect(refused.headers.get("content-type")).toBe("application/problem+json")
    expect(body).toMatchObject({ type: "urn:kiln:problem:quota-exceeded", status: 429, rule: "composes", limit: 2, used: 2, window: "1 day" })
    expect(Date.parse(body.resets_at)).toBeGreaterThanOrEqual(before + day)
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(day / 1000 - 60)
  })

  it("belongs to a tenant", async () => {
    await open({ defaults: { composes: [{ count: 1, windowMs: day }] }, tenants: { beta: { composes: [] } } as never })
    const beta = await gateway.token({ tenant: "beta" })
    await gateway.post(aRequest)
    expect((await gateway.post(aRequest)).status).toBe(429)
    expect(await Promise.all([1, 2, 3].map(async () => (await gateway.post(aRequest, {}, beta)).status))).toEqual([202, 202, 202])
  })

  it("of none at all is answered with 403, for waiting does not help", async () => {
    await open(composes(0))
    const refused = await gateway.post(aRequest)
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([403, null])
    expect(await refused.json()).toMatchObject({ type: "urn:kiln:problem:quota-spent", rule: "composes", limit: 0, used: 0 })
  })

  it("stores nothing of what it refuses, and is used up by no request that is wrong", async () => {
    await open(composes(1))
    expect((await gateway.post({ ...aRequest, images: [] })).status).toBe(400)
    expect((await gateway.post(aRequest)).status).toBe(202)
    const entries = () => gateway.run(Effect.flatMap(EventLog, (log) => log.head("EVENTS")))
    const before = await entries()
    expect((await gateway.post(aRequest)).status).toBe(429)
    expect(await entries()).toBe(before)
  })

  it("costs nothing where there is none: no decision on the account, none read twice", async () => {
    await open({ defaults: { weight: 2 } })
    await Promise.all(Array.from({ length: 20 }, () => gateway.post(aRequest)))
    expect((await accountOf()).revision).toBe(0)
  })

  it("gathers what comes at once into few decisions", async () => {
    await open(composes(100))
    const statuses = await Promise.all(Array.from({ length: 150 }, async () => (await gateway.post(aRequest)).status))
    expect([statuses.filter((status) => status === 202).length, statuses.filter((status) => status === 429).length]).toEqual([100, 50])
    expect((await accountOf()).revision).toBeLessThan(100)
  })
})

describe("a quota of stored bytes", () => {
  it("is asked for what an image may need, and answers 403", async () => {
    await open({ defaults: { storedBytes: 9 * 2 ** 30 } })
    expect((await gateway.post({ ...aRequest, images: [aRequest.images[0], aRequest.images[0]] })).status).toBe(202)
    const refused = await gateway.post(aRequest)
    expect([refused.status, refused.headers.get("retry-after")]).toEqual([403, null])
    expect(await refused.json()).toMatchObject({ type: "urn:kiln:problem:quota-spent", rule: "stored_bytes", limit: 9 * 2 ** 30, used: 8 * 2 ** 30 })
  })
})

describe("an Idempotency-Key and a quota", () => {
  it("use it up once, and answer for the first compose also when it is used up", async () => {
    await open(composes(2))
    const first = await (await gateway.post(aRequest, { "idempotency-key": "k1" })).json()
    await gateway.post(aRequest)
    expect((await gateway.post(aRequest)).status).toBe(429)
    const again = await gateway.post(aRequest, { "idempotency-key": "k1" })
    expect([again.status, await again.json()]).toEqual([202, first])
  })

  it("make ten requests at once one compose, and use it up once", async () => {
    await open(composes(2))
    const answers = await Promise.all(Array.from({ length: 10 }, () => gateway.post(aRequest, { "idempotency-key": "k2" })))
    expect(new Set(await Promise.all(answers.map(async (answer) => (await answer.json() as { id: string }).id))).size).toBe(1)
    expect((await gateway.post(aRequest)).status).toBe(202)
    expect((await gateway.post(aRequest)).status).toBe(429)
  })

  it("leave the key of a refused request free for the same request, once there is room", async () => {
    await open(composes(1, 1000))
    await gateway.post(aRequest)
    expect((await gateway.post(aRequest, { "idempotency-key": "k3" })).status).toBe(429)
    let answer: Response
    do answer = await gateway.post(aRequest, { "idempotency-key": "k3" })
    while (answer.status === 429)
    const accepted = await answer.json() as { id: string }
    expect(answer.status).toBe(202)
    const again = await gateway.post(aRequest, { "idempotency-key": "k3" })
    expect(await again.json()).toEqual(accepted)
  })
})

describe("a key whose reservation has run out", () => {
  it("stands for another compose from then on, the same for everybody", async () => {
    await open(composes(1, 300))
    await gateway.post(aRequest)
    const key = { "idempotency-key": "k4" }
    expect((await gateway.post(aRequest, key)).status).toBe(429)
    // As the scheduler leaves it that has waited long enough for the compose.
    const given = await gateway.run(Effect.gen(function*() {
      const tenantId = TenantId.make("acme")
      const wanted = { composeId: ComposeId.make(v7()), request: Digest.make(`sha256:${"0".repeat(64)}`) }
      const { composeId } = yield* (yield* Idempotency).claim(tenantId, "k4", wanted)
      yield* (yield* EventLog).append(composeRef(tenantId, composeId), 0,
        { ...decisionOf("never", requested), events: [ComposeCanceled.make({ composeId, reason: neverRequested })] })
      return composeId
    }))
    let answer: Response
    do answer = await gateway.post(aRequest, key)
    while (answer.status === 429)
    expect(answer.status).toBe(202)
    const accepted = await answer.json() as { id: string; requested_at: string }
    expect(accepted.id).not.toBe(given)
    expect(await (await gateway.post(aRequest, key)).json()).toEqual(accepted)
    expect((await gateway.call(`/api/kiln/v1/composes/${accepted.id}`)).status).toBe(200)
    expect((await gateway.call(`/api/kiln/v1/composes/${given}`)).status).toBe(404)
  })
})

describe("rate limits", () => {
  it("say on every answer what is left, and refuse with 429 what is too much", async () => {
    await open({ defaults: { tenantRate: { perSecond: 0.01, burst: 3 } } })
    const answers = []
    for (let n = 0; n < 5; n++) answers.push(await gateway.call("/api/kiln/v1/distributions"))
    expect(answers.map(({ status }) => status)).toEqual([200, 200, 200, 429, 429])
    expect(answers.map(({ headers }) => headers.get("ratelimit-policy"))).toEqual(Array.from({ length: 5 }, () => "\"tenant\";q=3;w=300"))
    expect(answers.map(({ headers }) => headers.get("ratelimit")?.split(";")[1])).toEqual(["r=2", "r=1", "r=0", "r=0", "r=0"])
    expect(Number(answers[3]!.headers.get("retry-after"))).toBeGreaterThan(30)
    expect(await answers[3]!.json()).toMatchObject({ type: "urn:kiln:problem:too-many-requests", limit: "tenant" })
  })

  it("count each caller by itself and all of a tenant together, and charge no tenant for what a caller may not", async () => {
    await open({ defaults: { tenantRate: { perSecond: 0.01, burst: 3 }, tokenRate: { perSecond: 0.01, burst: 2 } } })
    const [anna, bert] = [await gateway.token({ subject: "anna" }), await gateway.token({ subject: "bert" })]
    const status = async (token: string) => (await gateway.call("/api/kiln/v1/distributions", { token })).status
    expect([await status(anna), await status(anna), await status(anna), await status(bert), await status(bert)]).toEqual([200, 200, 429, 200, 429])
    const another = await gateway.token({ subject: "anna", ttl: 90_000 })
    expect(await status(another)).toBe(429)
  })

  it("are silent where there are none", async () => {
    await open({})
    const { headers } = await gateway.call("/api/kiln/v1/distributions")
    expect([headers.get("ratelimit"), headers.get("ratelimit-policy")]).toEqual([null, null])
  })
})
