/** `kiln files`, and requests whose files lie on the machine of who asks. */
import { createHash } from "node:crypto"
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { aRequest, type Gateway, openGateway } from "../gateway/harness.ts"
import { kiln } from "./kiln-command.ts"

let gateway: Gateway
let token = ""
let folder = ""
beforeAll(async () => {
  gateway = await openGateway()
  token = await gateway.token()
  folder = mkdtempSync(join(tmpdir(), "kiln-files-"))
})
afterAll(async () => {
  await gateway.close()
  rmSync(folder, { recursive: true, force: true })
})

const run = (...args: ReadonlyArray<string>) => kiln(["--url", gateway.url, "--token", token, ...args])
const document = async (...args: ReadonlyArray<string>) => {
  const { code, err, out } = await run(...args, "--json")
  assert.deepStrictEqual([code, err], [0, ""])
  return JSON.parse(out)
}
const file = (name: string, content: string | Uint8Array) => {
  writeFileSync(join(folder, name), content)
  return join(folder, name)
}
const digestOf = (content: string | Uint8Array) => `sha256:${createHash("sha256").update(content).digest("hex")}`

describe("stored files", () => {
  it("given files to add, then their digests are printed, they are listed, and go when they are removed", async () => {
    const { code, out } = await run("files", "add", file("one", "1"), file("two", "2"))
    assert.deepStrictEqual([code, out], [0, `${digestOf("1")}  ${join(folder, "one")}\n${digestOf("2")}  ${join(folder, "two")}\n`])
    assert.sameMembers((await document("files", "list")).items.map(({ digest }: { digest: string }) => digest), [digestOf("1"), digestOf("2")])
    assert.strictEqual((await run("files", "remove", digestOf("1"), "--yes")).code, 0)
    assert.strictEqual((await run("files", "remove", digestOf("1"), "--yes")).code, 4)
    assert.deepStrictEqual([(await run("files", "add", join(folder, "none"))).code, (await run("files", "remove", "sha256:1")).code], [2, 2])
  })
})

describe("a request whose files say where they are", () => {
  it("given a small and a large one, then the small one is in the request and the large one is stored and named", async () => {
    const large = new Uint8Array(300_000).fill(7)
    file("small.txt", "small")
    file("large.bin", large)
    const request = file("request.yaml", JSON.stringify({
      ...aRequest, customizations: { files: [{ path: "/a", from: "small.txt", mode: "0600" }, { path: "/b", from: "./large.bin" }, { path: "/c", data: "here" }] }
    }))
    const { id } = await document("build", request, "--detach")
    assert.deepStrictEqual((await document("show", id)).request.customizations.files, [
      { path: "/a", mode: "0600", data: Buffer.from("small").toString("base64"), data_encoding: "base64" }, { path: "/b", digest: digestOf(large) }, { path: "/c", data: "here" }
    ])
  })

  it("given one that is not there, then nothing is asked for and it is named", async () => {
    const { code, err } = await run("build", file("wrong.json", JSON.stringify({ ...aRequest, customizations: { files: [{ path: "/a", from: "nothing" }] } })))
    assert.strictEqual(code, 2)
    assert.match(err, /nothing cannot be read/)
  })
})
