import { createHash, randomBytes } from "node:crypto"
import { writeFileSync } from "node:fs"
import { join } from "node:path"
import { Effect } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Artifact } from "../../../domain/artifact.ts"
import { Digest } from "../../../domain/ids.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { api, type Gateway, openGateway } from "./harness.ts"
import { anArtifact, given } from "./scenes.ts"

let gateway: Gateway
const bytes = randomBytes(1_000_000)
const digest = Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)
const artifact: Artifact = { ...anArtifact, digest, size: bytes.length, filename: "m\u00fcnchen \"1\".qcow2" }
let url = ""

beforeAll(async () => {
  gateway = await openGateway()
  const file = join(gateway.folder, "built")
  writeFileSync(file, bytes)
  await gateway.run(Effect.flatMap(Artifacts, (artifacts) => artifacts.put(file, digest)))
  url = (await artifactsOf((await ready()).id))[0]!.url
})
afterAll(() => gateway.close())

const ready = async () => {
  const compose = await given(gateway)
  await compose.done(artifact)
  return compose
}
const artifactsOf = async (id: string) =>
  await (await gateway.call(`${api}/composes/${id}/artifacts`)).json() as Array<Record<"url" | "expires_at", string>>
const get = (headers: Record<string, string> = {}, at = url, method = "GET") => fetch(at, { method, headers })
const body = async (response: Response) => Buffer.from(await response.arrayBuffer())

describe("the artifacts of a compose", () => {
  it("are listed with a link that works for an hour", async () => {
    const [listed] = await artifactsOf((await ready()).id)
    expect(listed).toMatchObject({
      image: 0, target: 0, digest, size: bytes.length, format: "qcow2", filename: artifact.filename, media_type: artifact.mediaType
    })
    expect(listed!.url.startsWith(`${gateway.url}${api}/artifacts/`)).toBe(true)
    expect(Date.parse(listed!.expires_at) - Date.now()).toBeGreaterThan(3_500_000)
  })

  it("are none before they are made", async () => {
    expect(await artifactsOf((await given(gateway)).id)).toEqual([])
  })

  it("are linked under the configured public URL, and under none that a client made up", async () => {
    const open = await openGateway({ publicUrl: "https://images.example.org/" })
    const compose = await given(open)
    await compose.done(artifact)
    const [listed] = await (await open.call(`${api}/composes/${compose.id}/artifacts`)).json() as Array<{ url: string }>
    expect(listed!.url).toMatch(/^https:\/\/images\.example\.org\/api\/kiln\/v1\/artifacts\//)
    await open.close()
  })
})

describe("a download", () => {
  it("needs no token and gives the file, byte for byte", async () => {
    const response = await get()
    expect(response.status).toBe(200)
    expect((await body(response)).equals(bytes)).toBe(true)
    expect(Object.fromEntries(response.headers)).toMatchObject({
      "content-length": "1000000", "accept-ranges": "bytes", etag: `"${digest}"`, "content-type": "application/octet-stream",
      "content-disposition": `attachment; filename="m_nchen _1_.qcow2"; filename*=UTF-8''m%C3%BCnchen%20%221%22.qcow2`
    })
  })

  it("tells all of that by HEAD, without the file", async () => {
    const response = await get({}, url, "HEAD")
    expect(response.status).toBe(200)
    expect(response.headers.get("content-length")).toBe("1000000")
    expect(response.headers.get("etag")).toBe(`"${digest}"`)
    expect(await body(response)).toHaveLength(0)
  })

  it.each([
    ["bytes=0-9", 0, 9], ["bytes=999990-", 999_990, 999_999], ["bytes=-10", 999_990, 999_999], ["bytes=-5000000", 0, 999_999],
    ["bytes=999999-5000000", 999_999, 999_999], ["bytes=262143-524289", 262_143, 524_289], ["BYTES=5-5", 5, 5]
  ])("gives the part %s", async (range, start, end) => {
    const response = await get({ range })
    expect(response.status).toBe(206)
    expect(response.headers.get("content-range")).toBe(`bytes ${start}-${end}/1000000`)
    expect(response.headers.get("content-length")).toBe(String(end - start + 1))
    expect((await body(response)).equals(bytes.subarray(start, end + 1))).toBe(true)
  })

  it.each(["bytes=1000000-", "bytes=5000000-6000000", "bytes=-0"])("has no part %s", async (range) => {
    const response = await get({ range })
    expect(response.status).toBe(416)
    expect(response.headers.get("content-range")).toBe("bytes */1000000")
    expect(await response.json()).toMatchObject({ type: "urn:kiln:problem:wrong-range" })
  })

  it.each(["bytes=9-0", "bytes=a-b", "lines=0-1", "bytes=0-1,5-6", "bytes=-", "bytes=99999999999999999999-"])("takes %s as no range at all", async (range) => {
    const response = await get({ range })
    expect(response.status).toBe(200)
    expect(await body(response)).toHaveLength(bytes.length)
  })

  it("goes on only with the same file", async () => {
    expect((await get({ range: "bytes=0-9", "if-range": `"${digest}"` })).status).toBe(206)
    for (const other of ["\"x\"", `W/"${digest}"`, new Date().toUTCString()]) {
      const response = await get({ range: "bytes=0-9", "if-range": other })
      expect(response.status).toBe(200)
      expect(await body(response)).toHaveLength(bytes.length)
    }
  })

  it("is not repeated to who has the file", async () => {
    for (const tags of [`"${digest}"`, `"x", W/"${digest}"`, "*"]) {
      const response = await get({ "if-none-match": tags })
      expect(response.status).toBe(304)
      expect(response.headers.get("etag")).toBe(`"${digest}"`)
      expect(await body(response)).toHaveLength(0)
    }
    expect((await get({ "if-none-match": "\"x\"" })).status).toBe(200)
  })

  it("is refused when anything in the link was changed", async () => {
    const changes: ReadonlyArray<(link: URL) => void> = [
      (link) => link.searchParams.set("tenant", "beta"),
      (link) => link.searchParams.set("expires", "99999999999"),
      (link) => link.searchParams.set("signature", "x"),
      (link) => link.searchParams.delete("signature"),
      (link) => { link.pathname = link.pathname.replace(/[^/]*$/, "evil.exe") },
      (link) => { link.pathname = link.pathname.replace(digest, `sha256:${"0".repeat(64)}`) }
    ]
    for (const change of changes) {
      const link = new URL(url)
      change(link)
      const response = await get({}, link.href)
      expect(response.status).toBe(403)
      expect(response.headers.get("content-type")).toBe("application/problem+json")
      await response.body?.cancel()
    }
  })

  it("is refused when the link has expired", async () => {
    const brief = await openGateway({ linkTtl: -1000 })
    const compose = await given(brief)
    await compose.done(artifact)
    const [listed] = await (await brief.call(`${api}/composes/${compose.id}/artifacts`)).json() as Array<{ url: string }>
    const response = await get({}, listed!.url)
    expect(response.status).toBe(403)
    expect(await response.json()).toMatchObject({ detail: expect.stringContaining("expired") })
    await brief.close()
  })

  it("of a file that is gone is not found", async () => {
    const compose = await given(gateway)
    await compose.done(anArtifact)
    const [listed] = await artifactsOf(compose.id)
    expect((await get({}, listed!.url)).status).toBe(404)
  })

  it("may be broken off", async () => {
    for (let n = 0; n < 20; n += 1) {
      const response = await get()
      await response.body!.cancel()
    }
    expect((await get({}, url, "HEAD")).status).toBe(200)
  })
})
