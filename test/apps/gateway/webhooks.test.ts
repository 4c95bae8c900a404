/** Webhooks over HTTP and by command: what is kept, what is shown, what is refused. What is sent is tested with those who send it. */
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { webhooksRef } from "../../../domain/recorded.ts"
import { mostWebhooks } from "../../../domain/webhooks.ts"
import { kiln } from "../operator/kiln-command.ts"
import { api, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const json = { "content-type": "application/json" }
const send = (method: string, path: string, body?: unknown, token?: string) =>
  gateway.call(`${api}/webhooks${path}`, { method, ...(body !== undefined && { headers: json, body: JSON.stringify(body) }), ...(token !== undefined && { token }) })
const added = async (body: object = {}, token?: string) =>
  await (await send("POST", "", { url: "https://hooks.example.org/kiln", ...body }, token)).json() as { id: string; secret: string } & Record<string, unknown>
const events = async (tenant: string) => (await gateway.run(Effect.flatMap(EventLog, (log) => log.read(webhooksRef(TenantId.make(tenant)))))).recorded.flatMap((each) => each.events)
const faultsOf = async (answer: Response) => [answer.status, ((await answer.json()) as { errors: ReadonlyArray<{ path: string }> }).errors.map(({ path }) => path)]

describe("a webhook", () => {
  it("given one that is added, then its secret is shown now and never again, and the log has it sealed", async () => {
    const token = await gateway.token({ tenant: "secretive" })
    const { secret, ...shown } = await added({ types: ["kiln.compose.*"], filter: { image_types: ["guest-image"], labels: { team: "*" } } }, token)
    expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(shown).toEqual({
      id: shown.id, url: "https://hooks.example.org/kiln", types: ["kiln.compose.*"], filter: { image_types: ["guest-image"], labels: { team: "*" } },
      status: "enabled", added_by: "anna", added_at: expect.any(String)
    })
    const [one, all] = [await send("GET", `/${shown.id}`, undefined, token), await send("GET", "", undefined, token)]
    expect([await one.json(), await all.json()]).toEqual([shown, [shown]])
    for (const text of [JSON.stringify(await events("secretive")), ...gateway.logged]) expect(text).not.toContain(secret.slice("whsec_".length))
  })

  it("given a change, then what is left out stays and what is null goes; it is disabled and enabled by the same", async () => {
    const { id } = await added({ description: "chat", types: ["kiln.job.*"] })
    const change = async (body: object) => await (await send("PATCH", `/${id}`, body)).json() as Record<string, unknown>
    expect(await change({ filter: { statuses: ["failed"] }, types: null })).toMatchObject({ description: "chat", filter: { statuses: ["failed"] }, status: "enabled" })
    expect(await change({})).not.toHaveProperty("types")
    expect(await change({ enabled: false })).toMatchObject({ status: "disabled", disabled: { because: "asked" } })
    expect((await send("POST", `/${id}/replay`, { since: "2026-01-01T00:00:00Z" })).status).toBe(409)
    expect(await change({ enabled: true, url: "https://other.example.org/" })).toMatchObject({ status: "enabled", url: "https://other.example.org/" })
  })

  it("given another tenant, then it is not there for it", async () => {
    const { id } = await added()
    const token = await gateway.token({ tenant: "beta" })
    expect(await (await send("GET", "", undefined, token)).json()).toEqual([])
    const asked = [
      await send("GET", `/${id}`, undefined, token), await send("PATCH", `/${id}`, { enabled: false }, token), await send("DELETE", `/${id}`, undefined, token),
      await send("POST", `/${id}/rotate`, {}, token), await send("POST", `/${id}/test`, undefined, token), await send("POST", `/${id}/replay`, { since: "2026-01-01T00:00:00Z" }, token),
      await send("GET", `/${id}/deliveries`, undefined, token), await send("POST", `/${id}/deliveries/compose_x_1_0/redeliver`, undefined, token)
    ]
    expect(asked.map(({ status }) => status)).toEqual(asked.map(() => 404))
  })

  it.each(["http://127.0.0.1:8080/", "https://10.0.0.1/x", "http://[::1]/", "http://localhost/", "http://2130706433/", "https://169.254.169.254/latest/"])(
    "given %s for an endpoint, then it is refused", async (url) => expect(await faultsOf(await send("POST", "", { url }))).toEqual([400, ["url"]]))

  it("given what cannot be, then each fault is said with its place", async () => {
    expect(await faultsOf(await send("POST", "", { url: "https://a:b@example.org/", types: ["nothing"], filter: { colours: [] } }))).toEqual([400, expect.arrayContaining(["url", "filter.colours"])])
    expect(await faultsOf(await send("POST", "", { url: "https://example.org/", types: ["kiln.compose.eaten"] }))).toEqual([400, ["types[0]"]])
    expect(await faultsOf(await send("POST", "", { url: "https://example.org/", types: Array.from({ length: 51 }, () => "kiln.*") }))).toEqual([400, ["types"]])
    const { id } = await added()
    expect(await faultsOf(await send("POST", `/${id}/replay`, {}))).toEqual([400, ["since"]])
    expect(await faultsOf(await send("POST", `/${id}/replay`, { after: "NOWHERE:1" }))).toEqual([400, ["after"]])
  })

  it("given a tenant that has as many as it may, then one more is refused", async () => {
    const token = await gateway.token({ tenant: "many" })
    for (let count = 0; count < mostWebhooks; count++) await added({}, token)
    const answer = await send("POST", "", { url: "https://example.org/" }, token)
    expect([answer.status, await answer.text()]).toEqual([400, expect.stringContaining(`at most ${mostWebhooks}`)])
  })

  it("given a secret that is rotated, then a new one is shown, and for how long the old one counts; given one that is removed, then it is gone", async () => {
    const { id, secret } = await added()
    const rotated = await (await send("POST", `/${id}/rotate`, { old_seconds: 60 })).json() as Record<string, string>
    expect(rotated["secret"]).not.toBe(secret)
    expect(Date.parse(rotated["old_secret_until"]!)).toBeGreaterThan(Date.now())
    expect((await send("DELETE", `/${id}`)).status).toBe(204)
    expect((await send("GET", `/${id}`)).status).toBe(404)
  })
})

describe("kiln webhooks", () => {
  const run = async (...args: ReadonlyArray<string>) => kiln(["webhooks", ...args, "--url", gateway.url, "--token", await gateway.token({ tenant: "by-command" })])

  it("adds, lists, changes, rotates, disables and removes", async () => {
    const made = await kiln(["webhooks", "add", "https://hooks.example.org/x", "--type", "kiln.compose.failed", "--label", "team=web", "--label", "nightly", "--json", "--url", gateway.url, "--token", await gateway.token({ tenant: "by-command" })])
    const { id, secret } = JSON.parse(made.out) as { id: string; secret: string }
    expect((await run("show", id)).out).toMatch(/labels +team=web, nightly/)
    const listed = await run("list")
    expect(listed.out).toContain(id)
    expect(listed.out).not.toContain(secret)
    expect((await run("change", id, "--clear", "filter", "--description", "chat")).out).toContain("chat")
    expect((await run("rotate", id, "--old-for", "1h")).out).toMatch(/Secret: whsec_/)
    expect((await run("disable", id)).out).toMatch(/status +disabled: asked/)
    expect((await run("enable", id)).out).toMatch(/status +enabled/)
    expect((await run("test", id, "--detach")).out).toMatch(/webhooks_main_\d+_0 is on its way/)
    expect((await run("deliveries", id)).out).toBe("Nothing was sent\n")
    expect([(await run("remove", id)).code, JSON.parse((await run("remove", id, "--yes", "--json")).out), (await run("show", id)).code]).toEqual([2, { id, removed: true }, 4])
  })
})
