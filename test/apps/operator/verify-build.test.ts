/** `kiln verify-build`, from the question to how it ends. */
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { WorkerId } from "../../../domain/ids.ts"
import { Built, Verified } from "../../../domain/job.ts"
import { type Gateway, openGateway } from "../gateway/harness.ts"
import { aDigest, anArtifact, given, sceneOf } from "../gateway/scenes.ts"
import { kiln } from "./kiln-command.ts"

let gateway: Gateway
let token = ""
beforeAll(async () => {
  gateway = await openGateway()
  token = await gateway.token()
})
afterAll(() => gateway.close())

const run = (...args: ReadonlyArray<string>) => kiln(["--url", gateway.url, "--token", token, ...args])
const debian = { distribution: "debian-13", images: [{ architecture: "x86_64", type: "guest-image", test: false }] }

const built = async () => {
  const compose = await given(gateway, debian)
  await compose.started("0-resolve")
  await compose.succeeded("0-resolve")
  await compose.started("0-build")
  await compose.succeeded("0-build", Built.make({ manifest: aDigest, artifact: anArtifact, heldBy: WorkerId.make("w1"), reused: false }))
  return compose.id
}

type Verdict = Pick<typeof Verified.Type, "verdict" | "differences" | "more">

/** Asks, and while the command watches lets a worker come to this verdict. Whoever has not asked finds the compose by its label. */
const verified = async (id: string, verdict: Verdict) => {
  const asking = run("verify-build", id)
  const found = async (): Promise<string> => {
    const { items } = JSON.parse((await run("list", "--search", `verifies=${id}`, "--json")).out) as { items: ReadonlyArray<{ id: string }> }
    return items.find((item) => item.id !== id)?.id ?? found()
  }
  const again = await found()
  const scene = sceneOf(gateway, again)
  await scene.started("0-build", 1, "w2")
  await scene.succeeded("0-build", Verified.make({ manifest: aDigest, artifact: anArtifact, by: WorkerId.make("w2"), ...verdict }), undefined, "w2")
  return { ...await asking, again }
}

describe("kiln verify-build", () => {
  it("given the same bytes, then it ends well, and says who built it first and who built it again", async () => {
    const id = await built()
    const { code, out } = await verified(id, { verdict: "identical", differences: [], more: 0 })
    assert.strictEqual(code, 0)
    assert.match(out, new RegExp(`Verifies +image 0 of ${id}`))
    assert.match(out, /Built +sha256:a+ by w1\nBuilt again +sha256:a+ by w2\nVerdict +the same bytes\n/)
  })

  it("given a difference, then it is shown by file, with how many more there are, also later, and the command ends as failed", async () => {
    const differences = [{ where: "root:/etc/motd", what: "different", fields: { size: ["5", "6"] } }] as const
    const { again, code, err, out } = await verified(await built(), { verdict: "different", differences, more: 3 })
    const said = /Verdict +DIFFERENT\nroot:\/etc\/motd: different, size 5 and 6\nand 3 more\n/
    assert.deepStrictEqual([code, err], [1, ""])
    assert.match(out, said)
    assert.match((await run("show", again)).out, said)
  })

  it("given other bytes around the same contents, then it ends well, and says that", async () => {
    const { code, out } = await verified(await built(), { verdict: "same-contents", differences: [], more: 0 })
    assert.deepStrictEqual([code, /Verdict +(.*)\n/.exec(out)?.[1]], [0, "other bytes, the same contents"])
  })

  it("given an image that cannot be verified, then it says why, as a request that is refused", async () => {
    const { id } = await given(gateway, debian)
    const { code, err } = await run("verify-build", id, "--image", "0")
    assert.deepStrictEqual([code, err.trim()], [2, "image 0 is not built"])
    assert.strictEqual((await run("verify-build", id, "--image", "9")).code, 4)
  })
})
