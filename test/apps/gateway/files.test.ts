import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { api, aRequest, type Gateway, openGateway } from "./harness.ts"
import { simulated } from "./scenes.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const store = (bytes: Uint8Array | string, token?: string) =>
  gateway.call(`${api}/files`, { method: "POST", body: bytes as string, headers: { "content-type": "application/octet-stream" }, ...(token && { token }) })
const stored = async (bytes: Uint8Array | string) => await (await store(bytes)).json() as { digest: string; size: number }
const listed = async (token?: string) =>
  await (await gateway.call(`${api}/files`, token === undefined ? {} : { token })).json() as { items: ReadonlyArray<{ digest: string; size: number }>; bytes: number; limit_bytes: number }
const naming = (...digests: ReadonlyArray<string>) => ({ ...aRequest, customizations: { files: digests.map((digest, index) => ({ path: `/opt/${index}`, digest })) } })
const faults = async (response: Response) => [response.status, ...(await response.json() as { errors: ReadonlyArray<{ path: string }> }).errors.map(({ path }) => path)]

describe("a file that is stored before it is named", () => {
  it("given bytes of any kind, then their digest is answered, they are listed once, and a request may name them", async () => {
    const bytes = Uint8Array.from([0, 255, 10, 128])
    const response = await store(bytes)
    const { digest, size } = await response.json() as { digest: string; size: number }
    expect([response.status, size, digest]).toEqual([201, 4, expect.stringMatching(/^sha256:[0-9a-f]{64}$/)])
    expect((await stored(bytes)).digest).toBe(digest)
    expect((await listed()).items.filter((item) => item.digest === digest)).toHaveLength(1)
    const accepted = await gateway.post(naming(digest))
    expect(accepted.status).toBe(202)
    const { id } = await accepted.json() as { id: string }
    expect(await (await gateway.call(`${api}/composes/${id}`)).json()).toMatchObject({ request: { customizations: { files: [{ digest }] } } })
  })

  it("given a digest that is not stored, or is another tenant's, then the request is refused with its place", async () => {
    const { digest } = await stored("mine")
    expect(await faults(await gateway.post(naming(digest, `sha256:${"0".repeat(64)}`)))).toEqual([400, "customizations.files[1].digest"])
    const token = await gateway.token({ tenant: "other" })
    expect(await faults(await gateway.post(naming(digest), {}, token))).toEqual([400, "customizations.files[0].digest"])
    expect(await listed(token)).toMatchObject({ items: [], bytes: 0 })
  })

  it("given both data and digest, or neither, or an encoding of no data, then the request is refused with its place", async () => {
    const { digest } = await stored("mine")
    const files = [{ path: "/a", digest, data: "x" }, { path: "/b" }, { path: "/c", digest, data_encoding: "base64" }]
    expect(await faults(await gateway.post({ ...aRequest, customizations: { files } })))
      .toEqual([400, "customizations.files[0].digest", "customizations.files[1]", "customizations.files[2].data_encoding"])
  })

  it("given a distribution whose files come with the request, then a digest is refused", async () => {
    const { digest } = await stored("mine")
    expect(await faults(await gateway.post({ ...simulated, customizations: { files: [{ path: "/a", digest }] } }))).toEqual([400, "customizations.files[0].digest"])
  })

  it("given it is removed, then it is gone from the list, cannot be named, and is on record once, and to remove it again finds nothing", async () => {
    const { digest } = await stored("for a while")
    const remove = () => gateway.call(`${api}/files/${digest}`, { method: "DELETE" })
    expect((await remove()).status).toBe(204)
    expect((await listed()).items.map((item) => item.digest)).not.toContain(digest)
    expect((await gateway.post(naming(digest))).status).toBe(400)
    expect((await remove()).status).toBe(404)
    const token = await gateway.token({ role: "operator" })
    const { items } = await (await gateway.call(`${api}/audit`, { token })).json() as { items: ReadonlyArray<Record<string, unknown>> }
    expect(items.filter(({ id }) => (id as string).startsWith("file-remove-")).map(({ action, actor, detail }) => [action, actor, detail])).toEqual([
      ["OperationSucceeded", { kind: "requester", id: "anna" }, undefined], ["OperationBegun", { kind: "requester", id: "anna" }, digest]
    ])
  })

  it("given more than one file may have, or more than there is room for, then it is refused with the limit", async () => {
    const tooLarge = await store(new Uint8Array(2 ** 20 + 1))
    expect([tooLarge.status, (await tooLarge.json() as { limit: number }).limit]).toEqual([413, 2 ** 20])
    const token = await gateway.token({ tenant: "hoarder" })
    for (const mark of [1, 2]) expect((await store(new Uint8Array(2 ** 20).fill(mark), token)).status).toBe(201)
    const full = await store("one more", token)
    expect([full.status, await full.json()]).toEqual([403, expect.objectContaining({ type: "urn:kiln:problem:files-full", limit: 2 ** 21, used: 2 ** 21 })])
    expect(await listed(token)).toMatchObject({ bytes: 2 ** 21, limit_bytes: 2 ** 21 })
  })
})
