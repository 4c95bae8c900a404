import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { Effect } from "effect"
import { TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Sealer } from "../../../domain/ports/sealer.ts"
import { certificate } from "../../support/certificate.ts"
import { anImage, api, aRequest, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const entries = () => gateway.run(Effect.flatMap(EventLog, (log) => log.head(log.streams[0]!)))
const faults = async (response: Response) =>
  (await response.json() as { errors: Array<{ in: string; path: string; message: string }> }).errors

const read = (id: string) =>
  gateway.run(Effect.flatMap(EventLog, (log) => log.read({ tenantId: TenantId.make("acme"), aggregate: "compose", id })))

describe("asking for a compose", () => {
  it("answers 202 with id and status, and says where it is", async () => {
    const response = await gateway.post(aRequest)
    const body = await response.json() as Record<string, string>
    expect(response.status).toBe(202)
    expect(body).toMatchObject({ status: "pending", distribution: "debian-13", name: "web server" })
    expect(response.headers.get("location")).toBe(`${api}/composes/${body["id"]}`)
    expect((await gateway.call(response.headers.get("location")!)).status).toBe(200)
  })

  it("records who asked, when, and in which trace", async () => {
    const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    const { id, requested_at } = await (await gateway.post(aRequest, { traceparent: trace })).json() as Record<string, string>
    const { recorded: [decision] } = await read(id!)
    expect(decision).toMatchObject({ actor: { kind: "requester", id: "anna" }, trace, at: Date.parse(requested_at!) })
    expect(decision!.events[0]).toMatchObject({ _tag: "ComposeRequested", builder: "debian", resolves: true })
  })

  it("takes no trace that is none", async () => {
    const { id } = await (await gateway.post(aRequest, { traceparent: "00-zz" })).json() as { id: string }
    expect((await read(id)).recorded[0]).not.toHaveProperty("trace")
  })

  it("stores no password in clear, and shows none", async () => {
    const customizations = { users: [{ name: "admin", password: "planted-secret" }, { name: "guest" }] }
    const { id } = await (await gateway.post({ ...aRequest, customizations })).json() as { id: string }
    const { recorded } = await read(id)
    expect(JSON.stringify(recorded)).not.toContain("planted-secret")
    const shown = await (await gateway.call(`${api}/composes/${id}`)).json() as { request: { customizations: unknown } }
    expect(shown.request.customizations).toEqual({ users: [{ name: "admin", password: "***" }, { name: "guest" }] })
    const event = recorded[0]!.events[0]
    const sealed = event._tag === "ComposeRequested" && event.request.customizations?.users?.[0]?.password
    const opened = await gateway.run(Effect.flatMap(Sealer, (sealer) => sealer.open(TenantId.make("acme"), sealed || undefined as never)))
    expect(opened).toBe("planted-secret")
  })
})

describe("an Idempotency-Key", () => {
  it("makes the same request again the same compose, with the same answer", async () => {
    const customizations = { users: [{ name: "admin", password: "hunter2" }] }
    const first = await gateway.post({ ...aRequest, customizations }, { "idempotency-key": "k1" })
    const before = await entries()
    const again = await gateway.post({ ...aRequest, customizations }, { "idempotency-key": "k1" })
    expect(again.status).toBe(202)
    expect(await again.json()).toEqual(await first.json())
    expect(await entries()).toBe(before)
  })

  it("makes ten requests at once one compose", async () => {
    const answers = await Promise.all(Array.from({ length: 10 }, async () =>
      (await gateway.post(aRequest, { "idempotency-key": "k2" })).json() as Promise<{ id: string }>))
    expect(new Set(answers.map(({ id }) => id)).size).toBe(1)
  })

  it("does not stand for another request", async () => {
    await gateway.post(aRequest, { "idempotency-key": "k3" })
    const before = await entries()
    const other = await gateway.post({ ...aRequest, name: "another" }, { "idempotency-key": "k3" })
    expect(other.status).toBe(409)
    expect(await other.json()).toMatchObject({ type: "urn:kiln:problem:idempotency-key-reused" })
    expect(await entries()).toBe(before)
  })

  it("belongs to its tenant", async () => {
    const [mine, theirs] = await Promise.all([
      gateway.post(aRequest, { "idempotency-key": "k4" }),
      gateway.post({ ...aRequest, name: "x" }, { "idempotency-key": "k4" }, await gateway.token({ tenant: "beta" }))
    ])
    expect([mine.status, theirs.status]).toEqual([202, 202])
  })

  it.each(["", "a".repeat(256), "\u00fc"])("of odd characters or length is refused: %j", async (key) => {
    const response = await gateway.post(aRequest, { "idempotency-key": key })
    expect(response.status).toBe(400)
    expect(await faults(response)).toMatchObject([{ in: "header", path: "idempotency-key" }])
  })
})

describe("what is wrong is refused with its place, and nothing is stored", () => {
  const cases: ReadonlyArray<readonly [string, unknown, string]> = [
    ["an unknown field", { ...aRequest, imagse: [] }, "imagse"],
    ["an unknown field deep inside", { ...aRequest, images: [{ ...anImage, tpye: "x" }] }, "images[0].tpye"],
    ["an unknown field with a prototype's name", `{"distribution":"debian-13","images":[${JSON.stringify(anImage)}],"__proto__":{}}`, "__proto__"],
    ["a missing field", { images: [anImage] }, "distribution"],
    ["a wrong type", { ...aRequest, name: 5 }, "name"],
    ["no image at all", { ...aRequest, images: [] }, "images[0]"],
    ["a subject in a name", { ...aRequest, distribution: "a.>" }, "distribution"],
    ["an unknown distribution", { ...aRequest, distribution: "hannah-montana" }, "distribution"],
    ["an unknown architecture", { ...aRequest, images: [{ ...anImage, architecture: "vax" }] }, "images[0].architecture"],
    ["an architecture that is not offered", { ...aRequest, images: [{ ...anImage, architecture: "aarch64" }] }, "images[0].architecture"],
    ["an unknown image type", { ...aRequest, images: [anImage, { ...anImage, type: "floppy" }] }, "images[1].type"],
    ["an option that is not offered", { ...aRequest, images: [{ ...anImage, options: { lines: 5 } }] }, "images[0].options.lines"],
    ["the same user twice", { ...aRequest, customizations: { users: [{ name: "a" }, { name: "a" }] } }, "customizations.users[1].name"],
    ["the same file twice", { ...aRequest, customizations: { files: [{ path: "/a", data: "" }, { path: "/a", data: "" }] } }, "customizations.files[1].path"],
    ["a path that climbs", { ...aRequest, customizations: { files: [{ path: "/a/../b", data: "" }] } }, "customizations.files[0].path"],
    ["a certificate that is none", { ...aRequest, customizations: { cacerts: { pem_certs: ["-----BEGIN CERTIFICATE-----\nabcd\n-----END CERTIFICATE-----"] } } }, "customizations.cacerts.pem_certs[0]"],
    ["a private key among certificates", { ...aRequest, customizations: { cacerts: { pem_certs: [Object.values(certificate()).join("\n")] } } }, "customizations.cacerts.pem_certs[0]"],
    ["a kernel argument with a line feed", { ...aRequest, customizations: { kernel: { append: "a\nb" } } }, "customizations.kernel.append"],
    ["half a character", `{"distribution":"debian-13","images":[${JSON.stringify(anImage)}],"customizations":{"files":[{"path":"/\\ud800","data":""}]}}`, "customizations.files[0].path"],
    ["a disk that cannot be divided so", { ...aRequest, images: [{ ...anImage, options: { partitioning: "lvm" } }] }, "images[0].options.partitioning"],
    ["a mount point that leads elsewhere", {
      ...aRequest, images: [{ ...anImage, options: { mountpoints: [{ mountpoint: "/home/../etc", size_bytes: 2 ** 26 }] } }]
    }, "images[0].options.mountpoints[0].mountpoint"],
    ["a number beyond all bounds", { ...aRequest, images: [{ ...anImage, options: { size_bytes: 1e300 } }] }, "images[0].options.size_bytes"]
  ]
  it.each(cases)("%s", async (_, body, path) => {
    const before = await entries()
    const response = await gateway.post(body)
    expect(response.status).toBe(400)
    expect(response.headers.get("content-type")).toBe("application/problem+json")
    expect(await faults(response)).toContainEqual(expect.objectContaining({ in: "body", path }))
    expect(await entries()).toBe(before)
  })

  it("with everything that is wrong at once", async () => {
    const response = await gateway.post({ distribution: 1, images: [{ architecture: "x" }], extra: true })
    expect((await faults(response)).map(({ path }) => path).sort())
      .toEqual(["distribution", "extra", "images[0].architecture", "images[0].type"])
  })

  it("with what is offered instead", async () => {
    const [fault] = await faults(await gateway.post({ ...aRequest, images: [{ ...anImage, type: "floppy" }] }))
    expect(fault!.message).toContain("guest-image")
  })

  it("without the value, which may be a secret", async () => {
    const response = await gateway.post({ ...aRequest, customizations: { users: [{ name: "a", password: "planted\nsecret" }] } })
    expect(response.status).toBe(400)
    expect(await response.text()).not.toContain("planted")
  })

  it("while a certificate, and two in one text, are none", async () => {
    const { cert } = certificate()
    expect((await gateway.post({ ...aRequest, customizations: { cacerts: { pem_certs: [cert, `${cert}${certificate().cert}`] } } })).status).toBe(202)
  })

  it("while the same package twice is no fault", async () => {
    expect((await gateway.post({ ...aRequest, customizations: { packages: ["vim", "vim"] } })).status).toBe(202)
  })
})

describe("a body", () => {
  it("of more than 1 MiB is too large, whether it says so or not", async () => {
    const big = JSON.stringify({ ...aRequest, name: "x".repeat(1024 * 1024) })
    expect((await gateway.post(big)).status).toBe(413)
    const chunked = await fetch(`${gateway.url}${api}/composes`, {
      method: "POST", duplex: "half", headers: { "content-type": "application/json", authorization: `Bearer ${await gateway.token()}` },
      body: new ReadableStream({
        start: (out) => {
          for (let n = 0; n < 20; n += 1) out.enqueue(new TextEncoder().encode("x".repeat(100_000)))
          out.close()
        }
      })
    } as RequestInit)
    expect(chunked.status).toBe(413)
    expect(await chunked.json()).toMatchObject({ type: "urn:kiln:problem:body-too-large" })
  })

  it("just below that is read", async () => {
    const files = [{ path: "/a", data: "x".repeat(500_000) }, { path: "/b", data: "x".repeat(500_000) }]
    expect((await gateway.post({ ...aRequest, customizations: { files } })).status).toBe(202)
  })

  it.each(["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "multipart/form-data"])("of type %s is not ours", async (type) => {
    expect((await gateway.post(aRequest, { "content-type": type })).status).toBe(415)
  })

  it.each([
    ["cut short", "{\"distribution\":"], ["empty", ""], ["not an object", "[]"], ["null", "null"],
    ["not UTF-8", new Uint8Array([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
    ["very deep", "[".repeat(400_000) + "]".repeat(400_000)], ["deep where an image should be", `{"distribution":"debian-13","images":${"[".repeat(9999)}${"]".repeat(9999)}}`]
  ])("that is %s is a bad request", async (_, body) => {
    expect((await gateway.post(body)).status).toBe(400)
  })
})
