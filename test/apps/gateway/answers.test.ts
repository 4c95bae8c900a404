import { Effect, Layer, Stream } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { EventLog, LogUnavailable } from "../../../domain/ports/event-log.ts"
import { ComposeQueries, QueriesUnavailable } from "../../../projections/compose-queries.ts"
import { api, aRequest, distributions, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

describe("what can be asked for", () => {
  it("is listed by distribution, architecture, image type and option", async () => {
    const listed = await (await gateway.call(`${api}/distributions`)).json() as ReadonlyArray<{ id: string }>
    expect(listed.map(({ id }) => id)).toEqual(distributions.map(({ id }) => id))
    expect(await (await gateway.call(`${api}/distributions/debian-13`)).json()).toEqual({
      id: "debian-13", name: "Debian 13", architectures: [{
        architecture: "x86_64", image_types: [{ type: "guest-image", description: "For virtual machines", options: ["size_bytes", "filesystem", "mountpoints"], bootable: true }]
      }]
    })
    expect((await gateway.call(`${api}/distributions/plan-9`)).status).toBe(404)
  })

  it("has packages, best first", async () => {
    const found = await (await gateway.call(`${api}/packages?distribution=debian-13&architecture=x86_64&search=vim&limit=2`)).json()
    expect(found).toMatchObject([{ name: "vim", version: "1.0", summary: "The vim", section: "editors" }, { name: "vim-tiny" }])
  })

  it.each([
    ["", "distribution"], ["?distribution=plan-9&architecture=x86_64&search=a", "distribution"],
    ["?distribution=debian-13&architecture=aarch64&search=a", "architecture"], ["?distribution=debian-13&architecture=x86_64&search=%00", "search"],
    ["?distribution=debian-13&architecture=x86_64&search=a&limit=1000", "limit"]
  ])("has no packages for %j", async (query, path) => {
    const response = await gateway.call(`${api}/packages${query}`)
    expect(response.status).toBe(400)
    expect(await response.json()).toMatchObject({ errors: expect.arrayContaining([expect.objectContaining({ in: "query", path })]) })
  })
})

describe("every error", () => {
  it.each([["GET", "/nowhere"], ["GET", "/api/kiln/v1/nowhere"], ["POST", "/api/kiln/v2/composes"], ["GET", `/api/kiln/v1/composes/${"a".repeat(5000)}`]])(
    "is a problem document: %s %.40s is not found", async (method, path) => {
      const response = await gateway.call(path, { method })
      expect(response.status).toBe(404)
      expect(response.headers.get("content-type")).toBe("application/problem+json")
      expect(await response.json()).toMatchObject({ type: expect.any(String), status: 404, title: expect.any(String) })
    })

  it.each([["DELETE", `${api}/composes`, "GET, HEAD, POST"], ["PUT", `${api}/composes/x`, "GET, HEAD"], ["POST", "/healthz", "GET, HEAD"]])(
    "is a problem document: %s %s is not allowed", async (method, path, allow) => {
      const response = await gateway.call(path, { method })
      expect(response.status).toBe(405)
      expect(response.headers.get("allow")).toBe(allow)
      expect(await response.json()).toMatchObject({ status: 405 })
    })

  it("from percent signs that mean nothing is the client's", async () => {
    for (const path of ["/composes/%", "/composes/%zz", "/composes/%ff", "/composes?cursor=%zz", "/composes?%=%"]) {
      expect((await gateway.call(`${api}${path}`)).status).toBeLessThan(500)
    }
  })
})

describe("when something is away", () => {
  const away = new LogUnavailable({ message: "the log does not answer" })
  const noLog = Layer.succeed(EventLog, EventLog.of({
    read: () => Effect.fail(away), append: () => Effect.fail(away), watch: () => Stream.fail(away),
    streams: ["EVENTS"], streamsAsTheyCome: Stream.make("EVENTS"), isSealed: () => false, follow: () => Stream.fail(away), scan: () => Stream.fail(away), head: () => Effect.fail(away), before: () => Effect.fail(away)
  }))
  const noQueries = Layer.succeed(ComposeQueries, ComposeQueries.of({
    list: () => Effect.fail(new QueriesUnavailable({ message: "the database does not answer" }))
  }))

  const whenAway = async (instead: Layer.Layer<any>, path: string, init: RequestInit = {}) => {
    const crippled = await openGateway({}, instead as Layer.Layer<never>)
    try {
      const response = path === "POST" ? await crippled.post(aRequest) : await crippled.call(path, init)
      const body = await response.json() as Record<string, string>
      return { status: response.status, retry: response.headers.get("retry-after"), body, logged: crippled.logged }
    } finally {
      await crippled.close()
    }
  }
  const id = "01900000-0000-7000-8000-000000000000"

  it.each(["POST", `${api}/composes/${id}`, `${api}/composes/${id}/events`, `${api}/composes/${id}/logs`, "/readyz"])("the log: %s answers 503, to be tried again", async (path) => {
    expect(await whenAway(noLog, path)).toMatchObject({ status: 503, retry: "2", body: { detail: "the log does not answer" } })
  })

  it.each([`${api}/composes`, "/readyz"])("the database: %s answers 503", async (path) => {
    expect(await whenAway(noQueries, path)).toMatchObject({ status: 503, retry: "2", body: { detail: "the database does not answer" } })
  })

  it("a compose can be asked for without the database", async () => {
    expect(await whenAway(noQueries, "POST")).toMatchObject({ status: 202 })
  })

  it("a defect answers 500 and tells nothing", async () => {
    const broken = Layer.succeed(ComposeQueries, ComposeQueries.of({ list: () => Effect.die(new Error("planted detail")) }))
    const { status, body, logged } = await whenAway(broken, `${api}/composes`)
    expect(status).toBe(500)
    expect(logged).toHaveLength(1)
    expect(logged[0]).toMatch(/failed request.*planted detail/s)
    expect(logged[0]).toContain(`${api}/composes`)
    expect(body).toMatchObject({ type: "about:blank", status: 500 })
    expect(JSON.stringify(body)).not.toContain("planted")
  })
})

describe("the log of the process", () => {
  it("has no word of requests that went well, nor of those that clients got wrong", async () => {
    const quiet = await openGateway()
    await quiet.post(aRequest)
    await quiet.post("{")
    await quiet.call("/nowhere")
    await quiet.call(`${api}/composes`, { token: "x" })
    expect(quiet.logged).toEqual([])
    await quiet.close()
  })

  it("names the route of one that was slow", async () => {
    const strict = await openGateway({ slow: 0 })
    await strict.call(`${api}/composes/x`)
    expect(strict.logged).toEqual([expect.stringMatching(/slow request.*"\/api\/kiln\/v1\/composes\/:id"/)])
    await strict.close()
  })
})

describe("beside the API", () => {
  it("there is an OpenAPI 3.1 document that names every status", async () => {
    const spec = await (await gateway.call(`${api}/openapi.json`, { token: null })).json() as any
    expect(spec.openapi).toMatch(/^3\.1/)
    expect(Object.keys(spec.paths).sort()).toEqual([
      "", "/{id}", "/{id}/artifacts", "/{id}/cancel", "/{id}/checksums", "/{id}/events", "/{id}/logs", "/{id}/retry",
      ...["boots/{firmware}/console.txt", "boots/{firmware}/screenshot.png", "lock.json", "provenance.dsse.json", "provenance.intoto.jsonl",
        "provenance.sigstore.json", "sbom.cdx.json", "sbom.spdx.json", "targets/{target}", "verify", "vulnerabilities"].map((file) => `/{id}/images/{image}/${file}`)
    ].map((path) => `${api}/composes${path}`).concat(`${api}/artifacts/{digest}/{filename}`, `${api}/distributions`, `${api}/distributions/{id}`, `${api}/packages`, `${api}/depsolve`, `${api}/files`, `${api}/files/{digest}`, `${api}/keys/provenance`, `${api}/keys/provenance.pem`,
      `${api}/jobs`, `${api}/images`, `${api}/usage`, `${api}/audit`, `${api}/tenants`, `${api}/quota`, `${api}/tenants/{tenant}/policy`, `${api}/tenants/{tenant}/quota`, `${api}/workers`, `${api}/workers/{name}/images/{digest}`, `${api}/pools`, `${api}/parked`, `${api}/parked/{id}`,
      `${api}/credentials`, `${api}/credentials/{name}`, `${api}/targets/check`, `${api}/retention`, `${api}/reaper`,
      ...["", "/{id}", "/{id}/versions", "/{id}/differences", "/{id}/composes"].map((path) => `${api}/blueprints${path}`),
      `${api}/events`,
      ...["", "/{name}", "/{name}/builds", "/{name}/pause", "/{name}/promote", "/{name}/resume"].map((path) => `${api}/pipelines${path}`),
      ...["", "/{id}", "/{id}/deliveries", "/{id}/deliveries/{event}", "/{id}/deliveries/{event}/redeliver", "/{id}/replay", "/{id}/rotate", "/{id}/test"]
        .map((path) => `${api}/webhooks${path}`)).sort())
    expect(Object.keys(spec.paths[`${api}/composes`].post.responses)).toEqual(["202", "400", "401", "403", "409", "413", "415", "429", "503"])
    expect(spec.components.securitySchemes.bearer).toMatchObject({ type: "http", scheme: expect.stringMatching(/^bearer$/i) })
  })

  it("there is a page to browse it that loads nothing from elsewhere", async () => {
    const response = await gateway.call("/docs", { token: null })
    expect(response.headers.get("content-type")).toContain("text/html")
    expect(await response.text()).not.toMatch(/<(script|link)[^>]+(src|href)=/)
  })

  it("there is a front page", async () => {
    expect(await (await gateway.call("/", { token: null })).text()).toContain("/docs")
  })

  it("there are the public keys of the local issuer", async () => {
    const { keys } = await (await gateway.call("/.well-known/jwks.json", { token: null })).json() as { keys: Array<object> }
    expect(keys).toMatchObject([{ kty: "OKP", crv: "Ed25519", alg: "EdDSA", use: "sig" }])
    expect(keys[0]).not.toHaveProperty("d")
  })

  it("it says that it lives and is ready", async () => {
    for (const path of ["/healthz", "/readyz"]) expect((await gateway.call(path, { token: null })).status).toBe(200)
  })

  it("it counts composes and requests, by the route and not by the path", async () => {
    await gateway.post(aRequest)
    await gateway.call(`${api}/composes/not-an-id`)
    const text = await (await gateway.call("/metrics", { token: null })).text()
    expect(text).toMatch(/kiln_composes_accepted_total\{distribution="debian-13"\} \d/)
    expect(text).toMatch(/kiln_http_requests_total\{route="\/api\/kiln\/v1\/composes",method="POST",status="202"\} \d/)
    expect(text).toMatch(/kiln_http_request_seconds_bucket\{route="\/api\/kiln\/v1\/composes",le="0\.001"\} \d/)
    expect(text).not.toContain("not-an-id")
  })
})
