import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { api, type Gateway, openGateway } from "./harness.ts"

let gateway: Gateway
beforeAll(async () => {
  gateway = await openGateway()
})
afterAll(() => gateway.close())

const depsolve = (body: unknown, to = gateway) =>
  to.call(`${api}/depsolve`, {
    method: "POST", headers: { "content-type": "application/json" }, body: typeof body === "string" ? body : JSON.stringify(body)
  })
const wish = { distribution: "debian-13", architecture: "x86_64" }
const key = "-----BEGIN PGP PUBLIC KEY BLOCK-----\n\nabcd\n-----END PGP PUBLIC KEY BLOCK-----\n"

describe("depsolve", () => {
  it("answers the packages, sorted, and what there is to download", async () => {
    const response = await depsolve({ ...wish, customizations: { packages: ["vim", "nginx"], users: [{ name: "ann", password: "secret" }] } })
    expect(response.status).toBe(200)
    expect(await response.json()).toEqual({
      ...wish,
      image_type: "guest-image",
      packages: ["nginx", "vim"].map((name) => ({ name, version: "1.0", architecture: "all", size: 1000 })),
      download_bytes: 2000
    })
  })

  it("answers no packages where none are resolved", async () => {
    const response = await depsolve({ distribution: "test-distro-1", architecture: "aarch64" })
    expect(await response.json()).toMatchObject({ image_type: "simulated", packages: [], download_bytes: 0 })
  })

  it("says what cannot be had, and where it was asked for", async () => {
    const response = await depsolve({ ...wish, customizations: { packages: ["vim", "emcas"] } })
    expect(response.status).toBe(422)
    expect(await response.json()).toMatchObject({
      type: "urn:kiln:problem:unresolvable",
      detail: "packages: unable to locate \"emcas\"",
      errors: [{ in: "body", path: "customizations.packages", message: "unable to locate \"emcas\"" }],
      excerpt: "E: Unable to locate package emcas"
    })
  })

  it.each([
    ["an unknown distribution", { ...wish, distribution: "plan-9" }, "distribution"],
    ["an architecture that is not offered", { ...wish, architecture: "aarch64" }, "architecture"],
    ["an image type that is not offered", { ...wish, image_type: "floppy" }, "image_type"],
    ["an unknown field", { ...wish, images: [] }, "images"],
    ["a wrong customization", { ...wish, customizations: { first_boot: { script: "reboot" } } }, "customizations.first_boot.script"],
    ["a version that is none", { ...wish, customizations: { packages: [{ name: "vim", version: "9 ;" }] } }, "customizations.packages[0].version"]
  ])("refuses %s, with its place", async (_, body, path) => {
    const response = await depsolve(body)
    expect(response.status).toBe(400)
    expect(((await response.json()) as { errors: ReadonlyArray<{ path: string }> }).errors.map((fault) => fault.path)).toEqual([path])
  })

  it("takes no more than a compose does", async () => {
    expect((await depsolve("{")).status).toBe(400)
    expect((await depsolve(" ".repeat(1024 * 1024 + 1))).status).toBe(413)
    expect((await gateway.call(`${api}/depsolve`, { method: "POST", body: "{}", token: null })).status).toBe(401)
  })

  it("takes repositories of this machine only where the operator allows them", async () => {
    const request = { ...wish, customizations: { repositories: [{ id: "own", uri: "http://127.0.0.1:1/debian", suite: "stable", key }] } }
    const refused = await depsolve(request)
    expect([refused.status, await refused.text()]).toEqual([400, expect.stringContaining("customizations.repositories[0].uri")])
    const allowing = await openGateway({ privateRepositories: true })
    expect((await depsolve(request, allowing)).status).toBe(200)
    await allowing.close()
  })
})
