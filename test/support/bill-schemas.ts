/** The schemas of bills of materials, by other people's programs. */
import { readFileSync } from "node:fs"
import { createRequire } from "node:module"

const packaged = createRequire(import.meta.url)
// Its types lean on types of Node's that clash with ours.
const { Spec, Validation } = packaged("@cyclonedx/cyclonedx-library") as {
  Spec: { Version: { v1dot6: string } }
  Validation: { JsonStrictValidator: new(version: string) => { validate(text: string): Promise<unknown> } }
}
type Check = ((document: unknown) => boolean) & { readonly errors?: unknown }
const { default: Ajv } = packaged("ajv/dist/2019.js") as { default: new(options: object) => { addMetaSchema(schema: unknown): { compile(schema: unknown): Check } } }
/** Of the schema that came with version 2.3; that of 2.3.1 says 2019-09. */
const draft07: unknown = packaged("ajv/dist/refs/json-schema-draft-07.json")

/** `null` where there is nothing wrong. */
export const cyclonedxFaults = (document: unknown): Promise<unknown> => new Validation.JsonStrictValidator(Spec.Version.v1dot6).validate(JSON.stringify(document))

/** A copy of SPDX's own schema, which no registry has as a package. */
export const spdxSchemaFile = process.env["KILN_TEST_SPDX_SCHEMA"] ?? ""

let check: Check | undefined
/** None where there is no copy of the schema. */
export const spdxFaults = (document: unknown): unknown => {
  if (spdxSchemaFile === "") return []
  check ??= new Ajv({ strict: false, allErrors: true }).addMetaSchema(draft07).compile(JSON.parse(readFileSync(spdxSchemaFile, "utf8")))
  return check(JSON.parse(JSON.stringify(document))) ? [] : check.errors
}
