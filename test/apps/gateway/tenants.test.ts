/** Quotas and policies over HTTP and by command, as tenants and operators meet them. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Layer } from "effect"
import { StandingPolicies } from "../../../domain/ports/standing-policies.ts"
import { kiln } from "../operator/kiln-command.ts"
import { api, aRequest, type Gateway, openGateway } from "./harness.ts"

const day = 24 * 3_600_000
let gateway: Gateway
let operator: string
let folder: string

beforeAll(async () => {
  gateway = await openGateway({}, Layer.succeed(StandingPolicies, { defaults: { composes: [{ count: 3, windowMs: day }], runningJobs: 8, storedBytes: 100 * 2 ** 30 } }))
  operator = await gateway.token({ tenant: "default", role: "operator", subject: "olga", ttl: 600_000 })
  folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
})
afterAll(async () => {
  await gateway.close()
  rmSync(folder, { recursive: true, force: true })
})

const policyOf = (tenant: string, method = "GET", body?: unknown, token = operator) =>
  gateway.call(`${api}/tenants/${tenant}/policy`, {
    method, token, ...(body !== undefined && { headers: { "content-type": "application/json" }, body: JSON.stringify(body) })
  })

describe("a tenant's quota", () => {
  it("shows every rule with what is used and left of it, and when the next place is free", async () => {
    const token = await gateway.token({ tenant: "shown" })
    await gateway.post(aRequest, {}, token)
    const answer = await gateway.call(`${api}/quota`, { token })
    const view = await answer.json() as { rules: Array<{ resets_at: string }> }
    expect(answer.status).toBe(200)
    expect(view).toMatchObject({
      tenant: "shown", running_jobs: 0, stored_bytes: 4 * 2 ** 30,
      rules: [
        { rule: "composes", limit: 3, used: 1, remaining: 2, window: "1 day" },
        { rule: "stored_bytes", limit: 100 * 2 ** 30, used: 4 * 2 ** 30, remaining: 96 * 2 ** 30 },
        { rule: "running_jobs", limit: 8, used: 0, remaining: 8 }
      ]
    })
    expect(Date.parse(view.rules[0]!.resets_at)).toBeGreaterThan(Date.now() + day - 60_000)
    expect(await (await gateway.call(`${api}/tenants/shown/quota`, { token: operator })).json()).toEqual(view)
  })
})

describe("a tenant's policy", () => {
  it("is the policy file's until operators set it, field by field, and again when they clear it", async () => {
    const standing = { composes: [{ count: 3, window: "1 day" }], running_jobs: 8, stored_bytes: 100 * 2 ** 30 }
    expect(await (await policyOf("beta")).json()).toEqual({ tenant: "beta", policy: standing, standing })
    const set = { composes: [{ count: 1, window: "2 hours" }], stored_bytes: "1.5 TiB", tenant_rate: { per_second: 5, burst: 10 } }
    const answered = await policyOf("beta", "PUT", set)
    expect(answered.status).toBe(200)
    expect(await answered.json()).toMatchObject({ policy: { composes: [{ count: 1, window: "2 hours" }], running_jobs: 8, stored_bytes: 1.5 * 2 ** 40 } })
    const beta = await gateway.token({ tenant: "beta" })
    expect([(await gateway.post(aRequest, {}, beta)).status, (await gateway.post(aRequest, {}, beta)).status]).toEqual([202, 429])
    expect(await (await policyOf("beta", "DELETE")).json()).toEqual({ tenant: "beta", policy: standing, standing })
    expect((await gateway.post(aRequest, {}, beta)).status).toBe(202)
  })

  it("that is wrong is refused with the place of the fault", async () => {
    const answer = await policyOf("beta", "PUT", { composes: [{ count: 1, window: "1 fortnight" }], colour: "red" })
    expect(answer.status).toBe(400)
    const { errors } = await answer.json() as { errors: Array<{ path: string }> }
    expect(errors.map(({ path }) => path).sort()).toEqual(["colour", "composes[0].window"])
  })

  it("is set by operators of the installation alone; a tenant's own may look at it, nobody else may", async () => {
    const [requester, theirs, requesterAtHome] = await Promise.all([
      gateway.token({ tenant: "acme" }), gateway.token({ tenant: "acme", role: "operator" }), gateway.token({ tenant: "default" })
    ])
    for (const token of [requester, theirs, requesterAtHome]) {
      expect((await policyOf("acme", "PUT", {}, token)).status).toBe(403)
      expect((await policyOf("acme", "DELETE", undefined, token)).status).toBe(403)
    }
    expect((await policyOf("acme", "GET", undefined, theirs)).status).toBe(200)
    for (const token of [requester, requesterAtHome]) expect((await policyOf("acme", "GET", undefined, token)).status).toBe(403)
    expect((await policyOf("beta", "GET", undefined, theirs)).status).toBe(403)
    expect((await gateway.call(`${api}/tenants/beta/quota`, { token: theirs })).status).toBe(403)
  })
})

describe("kiln", () => {
  const run = (...args: ReadonlyArray<string>) => kiln(["--url", gateway.url, "--token", operator, ...args])

  it("shows a quota as a table and as a document", async () => {
    await gateway.post(aRequest, {}, await gateway.token({ tenant: "gamma" }))
    const { code, out } = await run("quota", "--tenant", "gamma", "--utc")
    expect(code).toBe(0)
    expect(out).toMatch(/^composes +1 day +1 +3 +2 +\d{4}-/m)
    expect(out).toMatch(/^stored bytes +4\.0 GiB +100 GiB +96\.0 GiB$/m)
    expect(JSON.parse((await run("quota", "--tenant", "gamma", "--json")).out)).toMatchObject({ tenant: "gamma", stored_bytes: 4 * 2 ** 30 })
    expect(JSON.parse((await run("quota", "--json")).out)).toMatchObject({ tenant: "default" })
  })

  it("shows, sets and clears a policy", async () => {
    const file = join(folder, "policy.yaml")
    writeFileSync(file, "weight: 3\ncomposes:\n  - { count: 9, window: 1 week }\n")
    const set = JSON.parse((await run("tenants", "policy", "set", "delta", file, "--json")).out)
    expect(set.policy).toMatchObject({ weight: 3, composes: [{ count: 9, window: "1 week" }], running_jobs: 8 })
    const { out } = await run("tenants", "policy", "show", "delta")
    expect(out).toMatch(/^weight +3 +set by operators$/m)
    expect(out).toMatch(/^running_jobs +8 +policy file$/m)
    expect(JSON.parse((await run("tenants", "policy", "clear", "delta", "--yes", "--json")).out)).not.toHaveProperty("set")
    writeFileSync(file, "weight: none\n")
    const wrong = await run("tenants", "policy", "set", "delta", file)
    expect([wrong.code, wrong.err]).toEqual([2, expect.stringContaining("weight")])
  })
})
