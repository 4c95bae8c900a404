import { rmSync } from "node:fs"
import { join } from "node:path"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { WorkerId } from "../../../domain/ids.ts"
import { Built, Verified } from "../../../domain/job.ts"
import { api, distributions, type Gateway, openGateway } from "./harness.ts"
import { aDigest, anArtifact, given, sceneOf, simulated } from "./scenes.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const [w1, w2] = [WorkerId.make("w1"), WorkerId.make("w2")]
const built = Built.make({ manifest: aDigest, artifact: anArtifact, heldBy: w1, reused: false })
const debian = { distribution: "debian-13", images: [{ architecture: "x86_64", type: "guest-image", test: false }] }
const verify = (id: string, image = 0, headers: Record<string, string> = {}) =>
  gateway.call(`${api}/composes/${id}/images/${image}/verify`, { method: "POST", headers })
const shown = async (id: string) => await (await gateway.call(`${api}/composes/${id}`)).json() as Record<string, unknown>
const problem = async (response: Response) => {
  const { detail, type } = await response.json() as { detail: string; type: string }
  return [response.status, type.split(":").at(-1), detail]
}

const resolvedAndBuilt = async (more: object = {}) => {
  const compose = await given(gateway, { ...debian, ...more })
  await compose.started("0-resolve")
  await compose.succeeded("0-resolve")
  await compose.started("0-build")
  await compose.succeeded("0-build", built)
  return compose
}

describe("a verification", () => {
  it("given a built image, then a compose of its own is asked for, which says what it verifies, who built that, and that it builds from the same lock", async () => {
    const { id } = await resolvedAndBuilt({ name: "web", customizations: { users: [{ name: "ann", password: "pass word" }] } })
    const response = await verify(id)
    const accepted = await response.json() as { id: string; name: string }
    expect([response.status, response.headers.get("location"), accepted.name]).toEqual([202, `${api}/composes/${accepted.id}`, "verification of image 0 of web"])
    expect(await shown(accepted.id)).toMatchObject({
      status: "pending", labels: { verifies: id }, jobs: [{ id: "0-build", kind: "build", status: "queued" }],
      request: { images: [{ type: "guest-image", targets: [] }], customizations: { users: [{ name: "ann", password: "***" }] } },
      verifies: { compose: id, image: 0, manifest: aDigest, artifact: { digest: anArtifact.digest }, built_by: "w1" }
    })
  })

  it("given its end, then the verdict, who built it again and how it differs are shown, by the compose and by a list that is searched for the first one's id", async () => {
    const { id } = await resolvedAndBuilt()
    const { id: again } = await (await verify(id)).json() as { id: string }
    const differences = [{ where: "root:/etc/motd", what: "different", fields: { size: ["5", "6"] } }] as const
    const scene = sceneOf(gateway, again)
    await scene.started("0-build", 1, "w2")
    const outcome = Verified.make({ verdict: "different", manifest: aDigest, artifact: { ...anArtifact, size: 11 }, by: w2, differences, more: 3 })
    await scene.succeeded("0-build", outcome, undefined, "w2")
    expect(await shown(again)).toMatchObject({
      status: "succeeded", verifies: { built_by: "w1", verified_by: "w2", verdict: "different", made: { size: 11 }, differences, more: 3 }
    })
    const { items } = await (await gateway.call(`${api}/composes?search=${id}`)).json() as { items: ReadonlyArray<{ id: string }> }
    expect(items.map((item) => item.id).toSorted()).toEqual([id, again].toSorted())
  })

  it("given an idempotency key, then it is asked for once", async () => {
    const { id } = await resolvedAndBuilt()
    const ids = [await verify(id, 0, { "idempotency-key": "v1" }), await verify(id, 0, { "idempotency-key": "v1" })].map(async (one) => (await one.json() as { id: string }).id)
    expect(new Set(await Promise.all(ids)).size).toBe(1)
  })

  it("given no such compose or image, or another tenant's, then there is nothing there", async () => {
    const { id } = await resolvedAndBuilt()
    expect((await problem(await verify(id, 4)))[0]).toBe(404)
    expect((await problem(await verify("01890000-0000-7000-8000-00000000ffff")))[0]).toBe(404)
    const token = await gateway.token({ tenant: "other" })
    expect((await gateway.call(`${api}/composes/${id}/images/0/verify`, { method: "POST", token })).status).toBe(404)
  })

  it("given an image that is not built, or one that is itself a verification, then it is refused with the reason", async () => {
    const { id } = await given(gateway, debian)
    expect(await problem(await verify(id))).toEqual([409, "not-verifiable", "image 0 is not built"])
    const first = await resolvedAndBuilt()
    const { id: again } = await (await verify(first.id)).json() as { id: string }
    expect(await problem(await verify(again))).toEqual([409, "not-verifiable", expect.stringContaining(first.id)])
  })

  it("given a builder that does not promise the same image twice, then it is refused by its name", async () => {
    const compose = await given(gateway, simulated)
    await compose.done()
    expect(distributions[1]!.reproducible).toBeUndefined()
    expect(await problem(await verify(compose.id))).toEqual([409, "not-verifiable", expect.stringContaining("the builder of test-distro-1, simulated,")])
  })
})

describe("an image with btrfs", () => {
  const withOptions = (options: object) => resolvedAndBuilt({ images: [{ ...debian.images[0], options }] })
  it("given that it is its root's or a mount point's, then the image is refused, since it never comes out the same", async () => {
    const root = await withOptions({ filesystem: "btrfs" })
    expect(await problem(await verify(root.id))).toEqual([409, "not-verifiable", expect.stringMatching(/^btrfs of the root comes out /)])
    const mounts = [{ mountpoint: "/home", size_bytes: 2 ** 26 }, { mountpoint: "/srv", size_bytes: 2 ** 26, filesystem: "btrfs" }]
    const mount = await withOptions({ filesystem: "ext4", mountpoints: mounts })
    expect(await problem(await verify(mount.id))).toEqual([409, "not-verifiable", expect.stringMatching(/^btrfs of \/srv comes out /)])
  })
  it("given that all of it is ext4, then it is taken", async () => {
    const { id } = await withOptions({ filesystem: "ext4", mountpoints: [{ mountpoint: "/home", size_bytes: 2 ** 26, filesystem: "ext4" }] })
    expect((await verify(id)).status).toBe(202)
  })
})

describe("an image with secrets", () => {
  it("given that they are erased, then it cannot be verified any more", async () => {
    const { id } = await resolvedAndBuilt({ customizations: { users: [{ name: "ann", password: "pass word" }] } })
    rmSync(join(gateway.folder, "keys/tenants/acme.json"))
    expect(await problem(await verify(id))).toEqual([409, "not-verifiable", "the password of ann is erased"])
  })
})
