/** What a worker says of the images that it makes, from its builder's word on. */
import { mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { gunzipSync } from "node:zlib"
import { Effect, Layer } from "effect"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { keepEvidence, keptEvidence, makeEvidence, readInventory } from "../../../apps/worker/evidence.ts"
import type { BuiltFile } from "../../../domain/ports/image-builder.ts"
import { HeldImagesFiles } from "../../../infra/files/held-images-files.ts"
import { artifact, inventory, manifest } from "../../support/bills.ts"
import { digest } from "../../support/composes.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-evidence-"))
})
afterEach(() => rmSync(folder, { recursive: true }))

const said: Array<string> = []
const report = { progress: () => {}, line: (text: string) => void said.push(text) }
const fileWith = (text: string): BuiltFile => {
  writeFileSync(join(folder, "inventory.json"), text)
  return { path: "", format: "raw", filename: "x", mediaType: "", inventory: join(folder, "inventory.json") }
}
const read = (file: BuiltFile) => Effect.runPromise(readInventory(file, report))
const unpacked = (text: string | undefined) => JSON.parse(gunzipSync(Buffer.from(text!, "base64")).toString()) as Record<string, any>

describe("a worker", () => {
  it("makes bills of materials of what its builder has found, the same each time", async () => {
    const made = async () => Effect.runPromise(makeEvidence(manifest, artifact, await read(fileWith(JSON.stringify(inventory)))))
    const evidence = await made()
    assert.deepStrictEqual(await made(), evidence)
    assert.strictEqual(unpacked(evidence?.spdx)["packages"].length, 4)
    assert.strictEqual(unpacked(evidence?.cyclonedx)["components"].length, 3)
    assert.deepStrictEqual(evidence?.tools, { mmdebstrap: "1.3.5-7" })
    const other = await Effect.runPromise(makeEvidence(manifest, { ...artifact, filename: "other" }, inventory))
    assert.notStrictEqual(unpacked(other?.spdx)["documentNamespace"], unpacked(evidence?.spdx)["documentNamespace"])
  })

  it("goes by the lock when its builder's word cannot be read, and says so in the job's log", async () => {
    for (const text of ["nothing", "{\"epoch\": 1}"]) {
      said.length = 0
      assert.isUndefined(await read(fileWith(text)))
      assert.match(said.join(), /^what is in the image cannot be told: /)
    }
    said.length = 0
    assert.isUndefined(await read({ ...fileWith(""), inventory: join(folder, "none") }))
    assert.match(said.join(), /cannot be told/)
    assert.strictEqual(unpacked((await Effect.runPromise(makeEvidence(manifest, artifact, undefined)))?.cyclonedx)["components"].length, 2)
  })

  it("says why where there is nothing to go by, and cuts what is said to what can be kept", async () => {
    const unknown = { ...manifest, lock: undefined } as never
    const made = (why?: string) => Effect.runPromise(makeEvidence(unknown, artifact, undefined, why))
    assert.deepStrictEqual(await made(), { noBill: "its builder does not tell what is in its images" })
    assert.deepStrictEqual(await made("nobody knows"), { noBill: "nobody knows" })
    assert.strictEqual((await made(`\0${"x".repeat(499)}\u{1f600}`)).noBill, `${"x".repeat(499)}\ufffd`)
  })

  it("says the same of an image that it uses again, also after a start", async () => {
    const evidence = await Effect.runPromise(makeEvidence(manifest, artifact, inventory))
    const held = () => Effect.provide(keptEvidence(digest), Layer.fresh(HeldImagesFiles(folder)))
    assert.isUndefined(await Effect.runPromise(held()))
    await Effect.runPromise(Effect.provide(keepEvidence(digest, evidence), HeldImagesFiles(folder)))
    assert.deepStrictEqual(await Effect.runPromise(held()), evidence)
  })
})
