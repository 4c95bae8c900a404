/** SPDX's own schema of version 2.3, which no registry has as a package: `KILN_TEST_SPDX_SCHEMA` names a copy of it. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { assert, describe, it } from "@effect/vitest"
import { billOf } from "../../../domain/evidence/bill.ts"
import { spdxDocument } from "../../../domain/evidence/spdx.ts"
import { artifact, inventory, lock, manifest } from "../../support/bills.ts"
import { skipWhere } from "../../support/needs.ts"

type Check = ((document: unknown) => boolean) & { readonly errors?: unknown }
const packaged = createRequire(import.meta.url)
const { default: Ajv } = packaged("ajv/dist/2019.js") as { default: new(options: object) => { addMetaSchema(schema: unknown): { compile(schema: unknown): Check } } }
/** Of the schema that came with version 2.3; that of 2.3.1 says 2019-09. */
const draft07: unknown = packaged("ajv/dist/refs/json-schema-draft-07.json")

const file = process.env["KILN_TEST_SPDX_SCHEMA"] ?? ""

describe("a bill of materials as SPDX", () => {
  skipWhere(file === "", "KILN_TEST_SPDX_SCHEMA names no copy of SPDX's schema of version 2.3")

  it("holds to the schema of its version, of an image that was looked into or not", () => {
    const check = new Ajv({ strict: false, allErrors: true }).addMetaSchema(draft07).compile(JSON.parse(readFileSync(file, "utf8")))
    const wrongIn = (document: unknown) => check(document) ? [] : check.errors
    const hash = "0123456789abcdef".repeat(4)
    const documents = [
      billOf(manifest, artifact, inventory)!,
      billOf({ ...manifest, lock }, artifact, undefined)!,
      billOf(manifest, artifact, { ...inventory, packages: [{ ...inventory.packages[0]!, license: "LicenseRef-gcc-14-runtime" }] })!
    ].map((bill) => spdxDocument(bill, hash))
    for (const document of documents) assert.deepStrictEqual(wrongIn(JSON.parse(JSON.stringify(document))), [])
    assert.notDeepEqual(wrongIn({ ...documents[0]!, spdxVersion: undefined, packages: [{ name: "x" }] }), [])
  })
})
