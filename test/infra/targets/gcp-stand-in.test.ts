/** The stand-in by itself: what it lets pass was asked as Google wants it. */
import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { truncateSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { base64OfCrc, crc32c } from "../../support/crc32c.ts"
import { gcpStandIn } from "../../support/gcp-stand-in.ts"
import { needs } from "../../support/needs.ts"

const KiB = 1024
const bucket = "example-images"

const make = Effect.gen(function*() {
  const google = yield* gcpStandIn
  const login = (subject_token: string) => fetch(`${google.base}/token`, {
    method: "POST",
    body: new URLSearchParams({
      grant_type: "urn:ietf:params:oauth:grant-type:token-exchange", subject_token, scope: "https://www.googleapis.com/auth/cloud-platform",
      audience: "//iam.googleapis.com/projects/4711/locations/global/workloadIdentityPools/kiln/providers/example",
      requested_token_type: "urn:ietf:params:oauth:token-type:access_token", subject_token_type: "urn:ietf:params:oauth:token-type:jwt"
    })
  })
  const { access_token } = yield* Effect.promise(async () => await (await login("subject-token-of-this-machine")).json() as { readonly access_token: string })
  const ask = async (method: string, path: string, body?: unknown, token: string | undefined = access_token) => {
    const answer = await fetch(google.base + path, {
      method, headers: { ...(token !== undefined && { authorization: `Bearer ${token}` }) }, ...(body !== undefined && { body: JSON.stringify(body) })
    })
    const text = await answer.text()
    return { status: answer.status, location: answer.headers.get("location") ?? "", body: (text === "" ? {} : JSON.parse(text)) as Record<string, any> }
  }
  const begin = (name: string) => ask("POST", `/upload/storage/v1/b/${bucket}/o?uploadType=resumable&ifGenerationMatch=0&name=${name}`, {})
  const put = (uri: string, range: string, body = Buffer.alloc(0)) => fetch(uri, { method: "PUT", headers: { "content-range": range }, body, redirect: "manual" })
  const store = async (name: string, bytes: Buffer<ArrayBuffer>) => (await put((await begin(name)).location, `bytes 0-${bytes.length - 1}/${bytes.length}`, bytes)).status
  return { ...google, ask, begin, login, put, store }
})

describe("the stand-in for Cloud Storage", () => {
  it("computes the checksum that is in everybody's tables", () => assert.strictEqual(base64OfCrc(crc32c(Buffer.from("123456789"))), "4waSgw=="))

  it.live("refuses who has no token of its own, and gives none for a wrong subject", () =>
    Effect.gen(function*() {
      const { ask, login } = yield* make
      yield* Effect.promise(async () => {
        assert.strictEqual((await login("a stranger's")).status, 400)
        assert.strictEqual((await ask("GET", `/storage/v1/b/${bucket}`, undefined, "made-up")).status, 401)
        assert.strictEqual((await ask("GET", `/storage/v1/b/${bucket}`)).status, 200)
      })
    }))

  it.live("takes chunks of 256 KiB where the session stands, and no others", () =>
    Effect.gen(function*() {
      const { begin, gcs, put } = yield* make
      yield* Effect.promise(async () => {
        const { location } = await begin("a")
        const total = 300 * KiB
        assert.strictEqual((await put(location, `bytes 0-${100 * KiB - 1}/${total}`, Buffer.alloc(100 * KiB))).status, 400)
        assert.strictEqual((await put(location, `bytes 0-${256 * KiB - 1}/${total}`, Buffer.alloc(10))).status, 400)
        const first = await put(location, `bytes 0-${256 * KiB - 1}/${total}`, Buffer.alloc(256 * KiB))
        assert.deepStrictEqual([first.status, first.headers.get("range")], [308, `bytes=0-${256 * KiB - 1}`])
        assert.strictEqual((await put(location, `bytes 0-${256 * KiB - 1}/${total}`, Buffer.alloc(256 * KiB))).status, 400)
        assert.strictEqual((await put(location, `bytes */${total}`)).headers.get("range"), `bytes=0-${256 * KiB - 1}`)
        assert.strictEqual((await put(location, `bytes ${256 * KiB}-${total - 1}/${total}`, Buffer.alloc(44 * KiB))).status, 200)
        assert.strictEqual((await put(`${location}x`, `bytes */${total}`)).status, 404)
        assert.strictEqual(gcs.object(bucket, "a")?.size, total)
      })
    }))

  it.live("holds to preconditions, and knows no buckets and parameters but its own", () =>
    Effect.gen(function*() {
      const { ask, begin, store } = yield* make
      yield* Effect.promise(async () => {
        const { location } = await begin("a")
        assert.strictEqual(await store("a", Buffer.from("one")), 200)
        assert.strictEqual((await begin("a")).status, 412)
        // Begun before the other was finished.
        assert.strictEqual((await fetch(location, { method: "PUT", headers: { "content-range": "bytes 0-2/3" }, body: "two" })).status, 412)
        assert.strictEqual((await ask("DELETE", `/storage/v1/b/${bucket}/o/a?ifGenerationMatch=1`)).status, 412)
        assert.strictEqual((await ask("GET", "/storage/v1/b/nobodys")).status, 404)
        assert.strictEqual((await ask("GET", `/storage/v1/b/${bucket}/o?made=up`)).status, 400)
        assert.strictEqual((await ask("DELETE", `/storage/v1/b/${bucket}/o/a`)).status, 204)
        assert.strictEqual((await ask("GET", `/storage/v1/b/${bucket}/o/a`)).status, 404)
      })
    }))
})

describe("the stand-in for Compute Engine", () => {
  needs("tar")
  const images = "/compute/v1/projects/example-project/global/images"
  const resource = (over: object = {}) => ({ name: "one", rawDisk: { containerType: "TAR", source: `https://storage.googleapis.com/${bucket}/a` }, ...over })
  const id = (of: number) => `00000000-0000-4000-8000-00000000000${of}`

  it.live("refuses names, labels, features, fields, sources and ids of requests that may not be", () =>
    Effect.gen(function*() {
      const { ask, store } = yield* make
      yield* Effect.promise(async () => {
        await store("a", Buffer.from("no archive"))
        for (const wrong of [
          { name: "One" }, { labels: { "Kiln": "a" } }, { labels: { kiln: "A" } }, { guestOsFeatures: [{ type: "MADE_UP" }] }, { madeUp: true },
          { architecture: "x86_64" }, { family: "-" }, { rawDisk: { containerType: "TAR", source: "gs://a/b" } }
        ]) assert.strictEqual((await ask("POST", images, resource(wrong))).status, 400, JSON.stringify(wrong))
        assert.strictEqual((await ask("POST", images, resource({ rawDisk: { containerType: "TAR", source: `https://storage.googleapis.com/${bucket}/b` } }))).status, 404)
        assert.strictEqual((await ask("POST", `${images}?requestId=1`, resource())).status, 400)
        const first = await ask("POST", `${images}?requestId=${id(1)}`, resource())
        assert.strictEqual((await ask("POST", `${images}?requestId=${id(1)}`, resource())).body["name"], first.body["name"])
        assert.strictEqual((await ask("POST", `${images}?requestId=${id(1)}`, resource({ name: "two" }))).status, 400)
        assert.strictEqual((await ask("POST", `${images}?requestId=${id(2)}`, resource())).status, 409)
        assert.strictEqual((await ask("POST", images.replace("example", "another"), resource())).status, 404)
      })
    }))

  it.live("takes archives of one disk of whole GiB, and says of others what is wrong when the import has ended", () =>
    Effect.gen(function*() {
      const { ask, dir, gce, store } = yield* make
      const archive = (size: number, name = "disk.raw", ...how: ReadonlyArray<string>) => {
        writeFileSync(join(dir, name), "a disk")
        truncateSync(join(dir, name), size)
        return execFileSync("tar", [...how.length === 0 ? ["--format=oldgnu", "-S"] : how, "-C", dir, "-czf", "-", name], { maxBuffer: 2 ** 26 }) as Buffer<ArrayBuffer>
      }
      const outcome = async (name: string, bytes: Buffer<ArrayBuffer>) => {
        await store(name, bytes)
        const { body } = await ask("POST", images, resource({ name, rawDisk: { containerType: "TAR", source: `https://storage.googleapis.com/${bucket}/${name}` } }))
        const wait = () => ask("POST", `/compute/v1/projects/example-project/global/operations/${body["name"]}/wait`)
        assert.strictEqual((await wait()).body["status"], "RUNNING")
        return (await wait()).body["error"]?.errors[0].message as string | undefined
      }
      yield* Effect.promise(async () => {
        assert.include(await outcome("plain", Buffer.from("no archive")), "gzip")
        assert.include(await outcome("odd", archive(2 ** 30 + 512)), "multiple of 1 GiB")
        assert.include(await outcome("misnamed", archive(2 ** 30, "other.raw")), "disk.raw")
        assert.include(await outcome("posix", archive(512, "disk.raw", "--format=ustar")), "GNU")
        assert.strictEqual(await outcome("good", archive(2 ** 30)), undefined)
        assert.deepStrictEqual([...gce.images.keys()], ["good"])
      })
    }))

  it.live("keeps policies from being written over, and images within the quota", () =>
    Effect.gen(function*() {
      const { ask, gce, store } = yield* make
      yield* Effect.promise(async () => {
        await store("a", Buffer.from("no archive"))
        await ask("POST", images, resource())
        const { etag } = (await ask("GET", `${images}/one/getIamPolicy`)).body as { readonly etag: string }
        const set = (policy: object) => ask("POST", `${images}/one/setIamPolicy`, { policy })
        assert.strictEqual((await set({ etag, bindings: [{ role: "roles/compute.imageUser", members: ["somebody"] }] })).status, 400)
        assert.strictEqual((await set({ etag, bindings: [] })).status, 200)
        assert.strictEqual((await set({ etag, bindings: [] })).status, 412)
        gce.setQuota(1)
        assert.include((await ask("POST", images, resource({ name: "two" }))).body["error"].message, "Quota 'IMAGES' exceeded")
      })
    }))
})
