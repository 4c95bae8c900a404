/** SPDX's own schema of version 2.3, which no registry has as a package: `KILN_TEST_SPDX_SCHEMA` names a copy of it. */
import { assert, describe, it } from "@effect/vitest"
import { billOf } from "../../../domain/evidence/bill.ts"
import { spdxDocument } from "../../../domain/evidence/spdx.ts"
import { spdxFaults, spdxSchemaFile } from "../../support/bill-schemas.ts"
import { artifact, inventory, lock, manifest } from "../../support/bills.ts"
import { skipWhere } from "../../support/needs.ts"

describe("a bill of materials as SPDX", () => {
  skipWhere(spdxSchemaFile === "", "KILN_TEST_SPDX_SCHEMA names no copy of SPDX's schema of version 2.3")

  it("holds to the schema of its version, of an image that was looked into or not", () => {
    const hash = "0123456789abcdef".repeat(4)
    const documents = [
      billOf(manifest, artifact, inventory)!,
      billOf({ ...manifest, lock }, artifact, undefined)!,
      billOf(manifest, artifact, { ...inventory, packages: [{ ...inventory.packages[0]!, license: "LicenseRef-gcc-14-runtime" }] })!
    ].map((bill) => spdxDocument(bill, hash))
    for (const document of documents) assert.deepStrictEqual(spdxFaults(document), [])
    assert.notDeepEqual(spdxFaults({ ...documents[0]!, spdxVersion: undefined, packages: [{ name: "x" }] }), [])
  })
})
