/** What a worker says of a file that a builder has made: bills that hold to their schemas, or why there are none. */
import { gunzipSync } from "node:zlib"
import { assert } from "@effect/vitest"
import { Effect } from "effect"
import { makeEvidence, readInventory } from "../../apps/worker/evidence.ts"
import type { cyclonedxDocument } from "../../domain/evidence/cyclonedx.ts"
import type { spdxDocument } from "../../domain/evidence/spdx.ts"
import type { Manifest } from "../../domain/manifest.ts"
import type { BuiltFile } from "../../domain/ports/image-builder.ts"
import { artifact } from "./composes.ts"
import { cyclonedxFaults, spdxFaults } from "./bill-schemas.ts"

const unpacked = (text: string): unknown => JSON.parse(gunzipSync(Buffer.from(text, "base64")).toString())

export const evidenceOf = Effect.fnUntraced(function*(manifest: Manifest, file: BuiltFile) {
  const inventory = yield* readInventory(file, { line: (text) => assert.fail(text), progress: () => {} })
  const { cyclonedx, noBill, spdx } = yield* makeEvidence(manifest, artifact, inventory, file.noBill)
  if (spdx === undefined || cyclonedx === undefined) return { noBill, purls: [], licenses: [] }
  const documents = { spdx: unpacked(spdx) as ReturnType<typeof spdxDocument>, cyclonedx: unpacked(cyclonedx) as ReturnType<typeof cyclonedxDocument> }
  assert.isNull(yield* Effect.promise(() => cyclonedxFaults(documents.cyclonedx)))
  assert.deepStrictEqual(spdxFaults(documents.spdx), [])
  assert.strictEqual(documents.spdx.packages.length - 1, documents.cyclonedx.components.length)
  assert.strictEqual(new Set(documents.spdx.packages.map(({ SPDXID }) => SPDXID)).size, documents.spdx.packages.length)
  return {
    noBill, documents,
    purls: documents.cyclonedx.components.map(({ purl }) => purl),
    licenses: documents.spdx.packages.slice(1).map(({ licenseDeclared }) => licenseDeclared)
  }
})
