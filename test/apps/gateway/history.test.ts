import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Layer } from "effect"
import { StandingPrices } from "../../../apps/gateway/prices.ts"
import type { ImageCopy } from "../../../domain/image-copy.ts"
import { Uploaded } from "../../../domain/job.ts"
import { Millis, WorkerId } from "../../../domain/ids.ts"
import { kiln } from "../operator/kiln-command.ts"
import { aDigest, anArtifact, given, simulated } from "./scenes.ts"
import { api, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
let operator: string
const ids: Array<string> = []
const aws = { type: "aws", region: "eu-central-1", bucket: "kiln-images" } as const
const copy: ImageCopy = {
  id: "ami-1", place: "eu-central-1", format: "raw", resources: [], bytesSent: 2 ** 30, deliveredAt: Millis.make(1)
}

beforeAll(async () => {
  gateway = await openGateway({}, Layer.succeed(StandingPrices, { currency: "EUR", sent_gib: 0.5, attempt: 0.1, cpu_hour: 3600, cloud_call: 0.25 }) as Layer.Layer<never>)
  operator = await gateway.token({ role: "operator", tenant: "acme", subject: "olga" })
  for (const body of [simulated, { ...simulated, images: [{ architecture: "aarch64", type: "simulated" }] }, simulated]) {
    const compose = await given(gateway, body)
    ids.push(compose.id)
    if (ids.length === 3) break
    await compose.started("0-build")
    await compose.succeeded("0-build", { _tag: "Built", manifest: aDigest, artifact: anArtifact, heldBy: WorkerId.make("w1"), reused: false })
    await compose.started("0-upload-0", 1, "w2")
    if (ids.length === 1) await compose.failed("0-upload-0", "user", undefined, "w2")
    else await compose.succeededAs("w2", "0-upload-0", Uploaded.make({ target: aws, artifact: anArtifact, copy }), { cpuMs: 1500, cloudCalls: 6 })
  }
  await gateway.call(`${api}/composes/${ids[2]}/cancel`, { method: "POST" })
})
afterAll(() => gateway.close())

interface Page {
  readonly items: ReadonlyArray<Record<string, unknown>>
  readonly next?: string
}
const get = async (path: string, token?: string) =>
  await (await gateway.call(`${api}${path}`, token === undefined ? {} : { token })).json() as Page & Record<string, unknown>

const run = async (...args: ReadonlyArray<string>) => kiln([...args, "--url", gateway.url, "--token", await gateway.token()], { columns: 200 })

describe("the history of jobs", () => {
  it("has every attempt, newest first, in pages that follow each other", async () => {
    const { items } = await get("/jobs")
    expect(items.map(({ compose, job, status }) => [ids.indexOf(compose as string), job, status])).toEqual([
      [2, "0-build", "canceled"], [1, "0-upload-0", "succeeded"], [1, "0-build", "succeeded"], [0, "0-upload-0", "failed"], [0, "0-build", "succeeded"]
    ])
    const first = await gateway.call(`${api}/jobs?limit=3`)
    const link = /^<(.*)>; rel="next"$/.exec(first.headers.get("link")!)![1]!
    expect([...(await first.json() as Page).items, ...(await get(link.slice(api.length))).items]).toEqual(items)
  })

  it("is filtered by state, kind, compose, worker and time", async () => {
    const jobs = async (query: string) => (await get(`/jobs?${query}`)).items.map(({ compose, job }) => `${ids.indexOf(compose as string)}/${job as string}`)
    expect(await jobs("status=failed")).toEqual(["0/0-upload-0"])
    expect(await jobs(`kind=upload&compose=${ids[1]}`)).toEqual(["1/0-upload-0"])
    expect(await jobs("worker=w2")).toEqual(["1/0-upload-0", "0/0-upload-0"])
    expect(await jobs("until=2020-01-01T00:00:00Z")).toEqual([])
  })
})

describe("the list of images", () => {
  it("has what was built, with its copies", async () => {
    const { items } = await get("/images")
    expect(items.map(({ compose }) => ids.indexOf(compose as string))).toEqual([1, 0])
    expect(items[0]).toMatchObject({ digest: aDigest, architecture: "aarch64", type: "simulated", size: 10, copies: [{ target: 0, type: "aws", id: "ami-1", place: "eu-central-1" }] })
    expect(items[1]).toMatchObject({ copies: [] })
  })

  it("is filtered by where copies are, by bytes and by what it is", async () => {
    const images = async (query: string) => (await get(`/images?${query}`)).items.map(({ compose }) => ids.indexOf(compose as string))
    expect(await images("target=aws")).toEqual([1])
    expect(await images(`digest=${aDigest}&architecture=x86_64&distribution=test-distro-1&type=simulated`)).toEqual([0])
    expect(await images("type=guest-image")).toEqual([])
  })
})

describe("usage", () => {
  it("sums up attempts in all, by day and by compose, with costs by the operator's prices", async () => {
    const total = await get("/usage")
    expect(total).toMatchObject({ tenant: "acme", by: "total", currency: "EUR" })
    expect(total.items).toEqual([expect.objectContaining({ attempts: 5, stored_bytes: 10, sent_bytes: 2 ** 30, cpu_seconds: 1.5, cloud_calls: 6, cost: 4 })])
    const today = new Date().toISOString().slice(0, 10)
    expect((await get("/usage?by=day")).items).toEqual([expect.objectContaining({ day: today, attempts: 5 })])
    const first = await get("/usage?by=compose&limit=2")
    const rest = await get(`/usage?by=compose&limit=2&cursor=${first.next}`)
    expect([...first.items, ...rest.items].map(({ attempts, compose }) => [ids.indexOf(compose as string), attempts])).toEqual([[2, 1], [1, 2], [0, 2]])
    expect((await get("/usage?until=2020-01-01T00:00:00Z")).items).toEqual([])
  })

  it("is a table and a document to people at a terminal", async () => {
    const { out } = await run("usage")
    const [head, row] = out.split("\n").map((line) => line.trim().split(/ {2,}/))
    expect(Object.fromEntries(head!.map((title, at) => [title, row![at]]))).toMatchObject({ ATTEMPTS: "5", "CPU S": "1.5", SENT: "1.0 GiB", "CLOUD CALLS": "6", EUR: "4.0000" })
    expect(JSON.parse((await run("usage", "--json")).out).items[0]).toMatchObject({ cloud_calls: 6 })
  })

  it("is of the last 31 days unless it was said when, and says so", async () => {
    const since = `${new Date(Date.now() - 31 * 24 * 3600_000).toISOString().slice(0, 10)}T00:00:00.000Z`
    expect(await get("/usage")).toMatchObject({ since })
    expect(await get("/usage")).not.toHaveProperty("until")
    const until = "2020-01-01T00:00:00.000Z"
    const past = await get(`/usage?until=${until}`)
    expect([past["until"], "since" in past]).toEqual([until, false])
    expect(JSON.parse((await run("usage", "--json")).out)).toMatchObject({ tenant: "acme", by: "total", since, currency: "EUR" })
  })

  it("of each tenant is for operators of the installation, in pages by their names", async () => {
    for (const token of [await gateway.token(), operator]) expect((await gateway.call(`${api}/usage?by=tenant`, { token })).status).toBe(403)
    const installation = await gateway.token({ role: "operator", tenant: "default" })
    const token = await gateway.token({ tenant: "zoe" })
    const { id } = await (await gateway.post(simulated, {}, token)).json() as { id: string }
    await gateway.call(`${api}/composes/${id}/cancel`, { method: "POST", token })
    const first = await get("/usage?by=tenant&limit=1", installation)
    expect(first.items).toMatchObject([{ tenant: "acme", attempts: 5, cost: 4 }])
    expect(first).not.toHaveProperty("tenant")
    expect((await get(`/usage?by=tenant&limit=1&cursor=${first.next}`, installation)).items).toMatchObject([{ tenant: "zoe", attempts: 1 }])
    expect((await gateway.call(`${api}/usage?by=tenant&tenant=acme`, { token: installation })).status).toBe(400)
    const { code, out } = await kiln(["usage", "--by", "tenant", "--url", gateway.url, "--token", installation], { columns: 200 })
    expect([code, out]).toEqual([0, expect.stringMatching(/^TENANT +ATTEMPTS [^]*\nacme +5 [^]*\nzoe +1 /)])
  })

  it("of another tenant is for operators", async () => {
    expect((await gateway.call(`${api}/usage?tenant=birch`)).status).toBe(403)
    const installation = await gateway.token({ role: "operator", tenant: "default" })
    expect((await get("/usage?tenant=acme", installation)).items[0]).toMatchObject({ attempts: 5 })
  })
})

describe("the audit", () => {
  it("says who did what, and leaves out what followed by itself", async () => {
    const { items } = await get("/audit", operator)
    expect(items.map(({ action, actor, id }) => [action, actor, ids.indexOf(id as string)])).toEqual([
      ["ComposeCanceled", { kind: "requester", id: "anna" }, 2],
      ...[2, 1, 0].map((n) => ["ComposeRequested", { kind: "requester", id: "anna" }, n])
    ])
    expect((await get(`/audit?action=ComposeCanceled&actor=anna&id=${ids[2]}`, operator)).items.length).toBe(1)
    expect((await get("/audit?actor=bob", operator)).items).toEqual([])
  })

  it("is for operators, and of their own tenant unless they are the installation's", async () => {
    expect((await gateway.call(`${api}/audit`)).status).toBe(403)
    expect((await gateway.call(`${api}/audit?tenant=birch`, { token: operator })).status).toBe(403)
  })

  it("has what operators do to a tenant, and the list of tenants says so", async () => {
    const installation = await gateway.token({ role: "operator", tenant: "default", subject: "olga" })
    const body = JSON.stringify({ weight: 3 })
    await gateway.call(`${api}/tenants/birch/policy`, { method: "PUT", token: installation, headers: { "content-type": "application/json" }, body })
    expect((await get("/audit?tenant=birch", installation)).items).toMatchObject([{ action: "PolicySet", actor: { kind: "operator", id: "olga" }, aggregate: "account" }])
    expect((await get("/tenants", installation)).items).toMatchObject([{ tenant: "birch", policy: { weight: 3 }, policy_set_by: "olga", running_jobs: 0, rules: [] }])
    expect((await gateway.call(`${api}/tenants`)).status).toBe(403)
  })
})

describe("the past", () => {
  it("of a compose is what it was at any moment, and before its request there is nothing", async () => {
    const compose = await given(gateway, simulated)
    const asked = Date.now()
    await new Promise((resolve) => setTimeout(resolve, 5))
    await compose.started("0-build")
    await compose.failed("0-build", "user")
    const at = async (time: number) => await (await gateway.call(`${api}/composes/${compose.id}?as_of=${new Date(time).toISOString()}`)).json() as Record<string, unknown>
    expect(await at(asked)).toMatchObject({ status: "pending", jobs: [{ status: "queued" }, { status: "waiting" }], revision: 1 })
    expect(await at(asked)).not.toHaveProperty("failure")
    expect(await at(Date.now())).toMatchObject({ status: "failed", revision: 3 })
    expect(await at(1)).toMatchObject({ status: 404 })
    expect(JSON.parse((await run("show", compose.id, "--as-of", new Date(asked).toISOString(), "--json")).out)).toMatchObject({ status: "pending", revision: 1 })
    expect((await run("show", compose.id, "--as-of", "2020-01-01")).code).toBe(4)
    expect((await gateway.call(`${api}/composes/${compose.id}?as_of=yesterday`)).status).toBe(400)
  })

  it("of a quota is what was used and what was set at that moment", async () => {
    const installation = await gateway.token({ role: "operator", tenant: "default" })
    const put = (body: object) => gateway.call(`${api}/tenants/cedar/policy`, {
      method: "PUT", token: installation, headers: { "content-type": "application/json" }, body: JSON.stringify(body)
    })
    const cedar = await gateway.token({ tenant: "cedar" })
    await put({ composes: [{ count: 5, window: "1 day" }] })
    await gateway.post(simulated, {}, cedar)
    const then = Date.now()
    await new Promise((resolve) => setTimeout(resolve, 5))
    await gateway.post(simulated, {}, cedar)
    await put({ composes: [{ count: 9, window: "1 day" }] })
    const at = async (time?: number) => (await get(`/quota${time === undefined ? "" : `?as_of=${new Date(time).toISOString()}`}`, cedar))["rules"]
    expect(await at(then)).toMatchObject([{ rule: "composes", limit: 5, used: 1, remaining: 4 }])
    expect(await at()).toMatchObject([{ rule: "composes", limit: 9, used: 2, remaining: 7 }])
    expect(await at(1)).toEqual([])
    const shown = await kiln(["quota", "--as-of", new Date(then).toISOString(), "--json", "--url", gateway.url, "--token", cedar])
    expect(JSON.parse(shown.out).rules).toMatchObject([{ limit: 5, used: 1, remaining: 4 }])
  })
})

describe("cursors", () => {
  it.each(["x", "W10", "WyJhIl0", "WzEsMiwzLDRd"])("that no page has given out are refused: %s", async (cursor) => {
    for (const path of ["/jobs", "/images", "/audit", "/usage?by=day"]) {
      if (path.startsWith("/usage") && cursor === "WyJhIl0") continue
      const response = await gateway.call(`${api}${path}${path.includes("?") ? "&" : "?"}cursor=${cursor}`, { token: operator })
      expect([path, response.status]).toEqual([path, 400])
    }
  })
})
