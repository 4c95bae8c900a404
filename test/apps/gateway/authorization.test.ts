import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { api, aRequest, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const list = (token: string | null) => gateway.call(`${api}/composes`, { token })

describe("a request", () => {
  it("without a token is told to bring one", async () => {
    const response = await list(null)
    expect(response.status).toBe(401)
    expect(response.headers.get("www-authenticate")).toMatch(/^Bearer/)
    expect(await response.json()).toMatchObject({ type: "urn:kiln:problem:unauthorized", detail: expect.stringContaining("Authorization: Bearer") })
  })

  it("with a token that expired is told so, and not shown the token", async () => {
    const token = await gateway.token({ ttl: -60_000 })
    const text = await (await list(token)).text()
    expect(text).toContain("expired")
    expect(text).not.toContain(token.split(".")[1])
  })

  it.each(["x", "a.b.c", "Bearer", "x".repeat(9000)])("with %.10s for a token is unauthorized", async (token) => {
    expect((await list(token)).status).toBe(401)
  })

  it("with another scheme is unauthorized", async () => {
    expect((await gateway.call(`${api}/composes`, { token: null, headers: { authorization: "Basic YTpi" } })).status).toBe(401)
  })

  it.each(["requester", "operator"] as const)("of a %s is served", async (role) => {
    expect((await list(await gateway.token({ role }))).status).toBe(200)
  })

  it("of a worker is forbidden", async () => {
    const token = await gateway.token({ role: "worker" })
    for (const path of ["/composes", "/distributions"]) expect((await gateway.call(`${api}${path}`, { token })).status).toBe(403)
    expect((await gateway.post(aRequest, {}, token)).status).toBe(403)
  })
})

describe("another tenant's compose", () => {
  it("is not there, in the very words of one that never was", async () => {
    const { id } = await (await gateway.post(aRequest)).json() as { id: string }
    const token = await gateway.token({ tenant: "beta", role: "operator" })
    const nobodys = "01900000-0000-7000-8000-000000000000"
    for (const [method, path] of [["GET", ""], ["GET", "/events"], ["GET", "/logs"], ["GET", "/artifacts"], ["POST", "/cancel"], ["POST", "/retry"]] as const) {
      const [theirs, none] = await Promise.all([id, nobodys].map(async (each) => {
        const response = await gateway.call(`${api}/composes/${each}${path}`, { method, token })
        return { status: response.status, body: (await response.text()).replaceAll(each, "ID") }
      }))
      expect(theirs).toEqual(none)
      expect(theirs!.status).toBe(404)
    }
    expect(await (await gateway.call(`${api}/composes`, { token })).json()).toEqual({ items: [] })
    expect(await (await gateway.call(`${api}/composes/${id}`)).json()).toMatchObject({ status: "pending" })
  })
})
