/** The stand-in by itself: what it lets pass was asked as Azure wants it. */
import { assert, describe, it } from "@effect/vitest"
import { createHash } from "node:crypto"
import { request } from "node:https"
import { text } from "node:stream/consumers"
import { Effect } from "effect"
import { vhdFooter } from "../../../infra/targets/azure/vhd-footer.ts"
import { client, tenant } from "../../support/azure-authority.ts"
import { azureStandIn } from "../../support/azure-stand-in.ts"
import { account, container } from "../../support/page-blob-stand-in.ts"

const MiB = 2 ** 20
const compute = "/subscriptions/5b1d4f1e-0000-4000-8000-000000000003/resourceGroups/images/providers/Microsoft.Compute"
const version = "?api-version=2026-04-01"

const make = Effect.gen(function*() {
  const azure = yield* azureStandIn
  const send = (method: string, path: string, headers: Record<string, string | number> = {}, body: string | Buffer = "") =>
    new Promise<{ readonly status: number; readonly text: string }>((resolve) => {
      request(`${azure.base}${path}`, { method, headers: { ...headers, "content-length": Buffer.byteLength(body) }, ca: azure.ca, agent: false }, (response) =>
        void text(response).then((said) => resolve({ status: response.statusCode!, text: said }))).end(body)
    })
  const login = (scope: string, client_secret = client.secret) => send("POST", `/${tenant}/oauth2/v2.0/token`, {}, new URLSearchParams({
    client_id: client.id, client_secret, grant_type: "client_credentials", scope: `https://${scope}.azure.com/.default`
  }).toString())
  const token = async (scope: string) => (JSON.parse((await login(scope)).text) as { readonly access_token: string }).access_token
  const [storage, management] = yield* Effect.promise(() => Promise.all([token("storage"), token("management")]))
  const blob = (method: string, name: string, headers: Record<string, string | number> = {}, body?: Buffer) =>
    send(method, `/${account}/${container}/${name}`, { authorization: `Bearer ${storage}`, "x-ms-version": "2026-02-06", ...headers }, body)
  const create = (name: string, size: number, headers = {}) => blob("PUT", name, { "x-ms-blob-type": "PageBlob", "x-ms-blob-content-length": size, "if-none-match": "*", ...headers })
  const page = (name: string, start: number, body: Buffer, headers = {}) => blob("PUT", `${name}?comp=page`, {
    "x-ms-page-write": "update", "x-ms-range": `bytes=${start}-${start + body.length - 1}`, "content-md5": createHash("md5").update(body).digest("base64"), ...headers
  }, body)
  const arm = async (method: string, path: string, body?: object) => {
    const answer = await send(method, `${compute}${path}${version}`, { authorization: `Bearer ${management}` }, body === undefined ? "" : JSON.stringify(body))
    return { status: answer.status, body: (answer.text === "" ? {} : JSON.parse(answer.text)) as Record<string, any> }
  }
  return { ...azure, management, storage, armStandIn: azure.arm, arm, blob, create, login, page, send }
})

describe("the stand-in for page blobs", () => {
  it.live("refuses who has no token for storage, and signatures by another key", () =>
    Effect.gen(function*() {
      const { blob, login, management } = yield* make
      yield* Effect.promise(async () => {
        assert.strictEqual((await login("storage", "a stranger's")).status, 401)
        assert.strictEqual((await login("made-up")).status, 400)
        assert.strictEqual((await blob("HEAD", "a.vhd", { authorization: "" })).status, 401)
        assert.strictEqual((await blob("HEAD", "a.vhd", { authorization: `Bearer ${management}` })).status, 401)
        assert.strictEqual((await blob("HEAD", "a.vhd", { authorization: `SharedKey ${account}:d3Jvbmc=` })).status, 403)
        assert.strictEqual((await blob("HEAD", "a.vhd")).status, 404)
      })
    }))

  it.live("refuses pages off the grid, too many, beyond the end, or of another checksum", () =>
    Effect.gen(function*() {
      const { blob, blobs, create, page, send, storage } = yield* make
      yield* Effect.promise(async () => {
        assert.strictEqual((await create("a.vhd", 1000)).status, 400)
        assert.strictEqual((await create("a.vhd", 8 * MiB, { "x-ms-blob-type": "BlockBlob" })).status, 400)
        assert.strictEqual((await create("a.vhd", 8 * MiB, { "x-ms-meta-kiln-job": "a" })).status, 400)
        assert.strictEqual((await create("a.vhd", 8 * MiB)).status, 201)
        assert.strictEqual((await create("a.vhd", 8 * MiB)).status, 409)
        assert.strictEqual((await page("a.vhd", 100, Buffer.alloc(512))).status, 416)
        assert.strictEqual((await page("a.vhd", 0, Buffer.alloc(100))).status, 416)
        assert.strictEqual((await page("a.vhd", 0, Buffer.alloc(5 * MiB))).status, 413)
        assert.strictEqual((await page("a.vhd", 8 * MiB, Buffer.alloc(512))).status, 416)
        assert.strictEqual((await page("a.vhd", 0, Buffer.alloc(512), { "content-md5": "d3Jvbmc=" })).status, 400)
        assert.strictEqual((await page("b.vhd", 0, Buffer.alloc(512))).status, 404)
        assert.strictEqual(blobs.bytesReceived(), 0)
        assert.strictEqual((await page("a.vhd", 4 * MiB, Buffer.alloc(4 * MiB, 1))).status, 201)
        assert.strictEqual((await send("GET", `/${account}/nobodys?restype=container&comp=list`, { authorization: `Bearer ${storage}`, "x-ms-version": "2026-02-06" })).status, 404)
        assert.strictEqual((await blob("DELETE", "a.vhd")).status, 202)
        assert.strictEqual((await blob("DELETE", "a.vhd")).status, 404)
      })
    }))
})

describe("the stand-in for the resource manager", () => {
  const image = (base: string, over: object = {}, name = "a.vhd") => ({
    location: "westeurope",
    properties: { hyperVGeneration: "V2", storageProfile: { osDisk: { osType: "Linux", osState: "Generalized", blobUri: `${base}/${account}/${container}/${name}` } }, ...over }
  })

  it.live("refuses what has no token, no version of the API, no place, or fields that are not known", () =>
    Effect.gen(function*() {
      const { arm, base, management, send, storage } = yield* make
      yield* Effect.promise(async () => {
        assert.strictEqual((await send("GET", `${compute}/images${version}`, { authorization: `Bearer ${storage}` })).status, 401)
        assert.strictEqual((await send("GET", `${compute}/images`, { authorization: `Bearer ${management}` })).status, 400)
        assert.strictEqual((await arm("PUT", "/images/one", {})).status, 400)
        assert.strictEqual((await arm("PUT", "/images/one", { ...image(base), location: undefined })).status, 400)
        assert.strictEqual((await arm("PUT", "/images/one", image(base, { architecture: "Arm64" }))).status, 400)
        assert.strictEqual((await arm("PUT", "/images/one", { ...image(base), tags: { "a/b": "c" } })).status, 400)
        assert.strictEqual((await arm("PUT", "/images/-", image(base))).status, 400)
        assert.strictEqual((await arm("GET", "/images/one")).status, 404)
        assert.strictEqual((await arm("DELETE", "/images/one")).status, 204)
      })
    }))

  it.live("takes fixed VHDs of whole MiB, and says of others what is wrong when the import has ended", () =>
    Effect.gen(function*() {
      const { arm, armStandIn, base, create, page } = yield* make
      const outcome = async (name: string, size: number, footer?: Buffer) => {
        await create(`${name}.vhd`, size)
        if (footer !== undefined) await page(`${name}.vhd`, size - 512, footer)
        assert.strictEqual((await arm("PUT", `/images/${name}`, image(base, {}, `${name}.vhd`))).status, 201)
        for (const _ of [1, 2, 3]) await arm("GET", `/images/${name}`)
        return (await arm("GET", `/images/${name}`)).body["properties"].provisioningState as string
      }
      const good = vhdFooter(4 * MiB, Buffer.alloc(16))
      const spoiled = Buffer.from(good)
      spoiled[100] = 1
      yield* Effect.promise(async () => {
        assert.strictEqual(await outcome("whole", 4 * MiB, good.subarray(0, 512)), "Failed")
        assert.strictEqual(await outcome("bare", 4 * MiB + 512), "Failed")
        assert.strictEqual(await outcome("other", 5 * MiB + 512, good), "Failed")
        assert.strictEqual(await outcome("spoiled", 4 * MiB + 512, spoiled), "Failed")
        assert.strictEqual(await outcome("good", 4 * MiB + 512, good), "Succeeded")
        assert.isDefined(armStandIn.ofKind("images").find(({ id }) => id.endsWith("/good"))?.disk)
      })
    }))

  it.live("keeps galleries in order: parents first, no change of what an image is for, no removal above children", () =>
    Effect.gen(function*() {
      const { arm, armStandIn, base } = yield* make
      const definition = (over: object = {}) => ({
        location: "westeurope",
        properties: { osType: "Linux", osState: "Generalized", hyperVGeneration: "V2", architecture: "x64", identifier: { publisher: "kiln", offer: "a", sku: "b" }, ...over }
      })
      const source = { storageAccountId: `${compute.replace("Compute", "Storage")}/storageAccounts/${account}`, uri: `${base}/${account}/${container}/a.vhd` }
      const versionOf = (from: object, regions = ["westeurope"]) => ({
        location: "westeurope", properties: { publishingProfile: { targetRegions: regions.map((name) => ({ name })) }, storageProfile: { osDiskImage: { source: from } } }
      })
      yield* Effect.promise(async () => {
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a", definition())).status, 404)
        armStandIn.addGallery("g")
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a", definition({ hyperVGeneration: "V1", architecture: "Arm64" }))).status, 400)
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a", definition())).status, 201)
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a", definition({ architecture: "Arm64" }))).status, 409)
        assert.strictEqual((await arm("PUT", "/galleries/g/images/b", definition())).status, 409)
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a/versions/1.0", versionOf(source))).status, 400)
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a/versions/1.0.0", versionOf({ id: source.uri }))).status, 400)
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a/versions/1.0.0", versionOf(source, ["northeurope"]))).status, 400)
        assert.strictEqual((await arm("PUT", "/galleries/g/images/a/versions/1.0.0", versionOf(source))).status, 201)
        assert.strictEqual((await arm("DELETE", "/galleries/g/images/a")).status, 409)
      })
    }))
})
