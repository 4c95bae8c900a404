/** What a program of the command contract says is in the image that it has made. */
import { readFile, stat } from "node:fs/promises"
import { Effect, Schema, SchemaIssue } from "effect"
import { ToolVersions } from "../../domain/artifact.ts"
import { type Inventory, OwnLicense } from "../../domain/evidence/inventory.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { line, matching, storable } from "../../domain/text.ts"
import { artifactIn } from "../builders/artifact-in.ts"
import { now, writtenInventory } from "../evidence/look-into.ts"

const optional = Schema.optionalKey
const longest = 16 * 2 ** 20
const mostPackages = 20_000

/** Identifiers joined by AND and OR, perhaps WITH an exception; what is in brackets counts as one of them. */
const clause = /^[A-Za-z0-9.-]+\+?( WITH [A-Za-z0-9.-]+)?( (AND|OR) [A-Za-z0-9.-]+\+?( WITH [A-Za-z0-9.-]+)?)*$/
const isExpression = (text: string): boolean => {
  const inner = text.replace(/\(([^()]+)\)/g, (whole, within: string) => (clause.test(within) ? "x" : whole))
  return inner === text ? clause.test(text) : isExpression(inner)
}
const Expression = line(2000).check(Schema.makeFilter((text: string) => isExpression(text) || "must be an SPDX license expression"))

const Package = Schema.Struct({
  name: line(200), version: line(200),
  architecture: optional(line(40)),
  source: optional(Schema.Struct({ name: line(200), version: line(200) })),
  maintainer: optional(line(300)),
  license: optional(Expression)
})

/** `type`, `vendor`, `distribution`: as package URLs name them. */
export const SaidInventory = Schema.Struct({
  type: matching(/^[a-z][a-z0-9.+-]{0,31}$/u, "the type of a package URL, such as deb"),
  vendor: optional(line(80)),
  distribution: optional(line(80)),
  packages: Schema.NonEmptyArray(Package).check(Schema.isMaxLength(mostPackages)),
  licenses: optional(Schema.Array(Schema.Struct({
    id: matching(/^LicenseRef-[A-Za-z0-9.-]{1,200}$/u, "an id that begins with LicenseRef-"), name: line(200), text: storable(200_000)
  }))),
  tools: optional(ToolVersions)
}).check(Schema.makeFilter(({ licenses = [], packages }) => {
  const known = new Set(licenses.map(({ id }) => id))
  const at = packages.findIndex(({ license }) => refsIn(license).some((id) => !known.has(id)))
  return at < 0 || { path: ["packages", at, "license"], issue: "names a LicenseRef- that is not among licenses" }
}))
export type SaidInventory = typeof SaidInventory.Type

const refsIn = (license = "") => license.match(/LicenseRef-[A-Za-z0-9.-]+/g) ?? []

const decode = Schema.decodeUnknownEffect(Schema.fromJsonString(SaidInventory), { onExcessProperty: "error" })
const format = SchemaIssue.makeFormatterStandardSchemaV1()

/** An image is no worse for a list that cannot be read; whoever reads the evidence is told. */
export const saidInventory = Effect.fn("command.inventory")(function*(workspace: string, path: string | undefined, hide: (text: string) => string, report: Report) {
  if (path === undefined) return { noBill: "the program that made it has listed no packages" }
  return yield* read(workspace, path).pipe(
    Effect.flatMap((inventory) => writtenInventory(inventory, workspace)),
    Effect.catch(({ message }) => Effect.as(Effect.sync(() => report.line(message)), { noBill: hide(message) }))
  )
})

const read = Effect.fnUntraced(function*(workspace: string, path: string) {
  const wrong = (why: string) => new BuildFailed({ class: "platform", message: `the program's list of packages is not as agreed: ${why}` })
  const file = yield* artifactIn(workspace, { path, format: "json", filename: "inventory.json", media_type: "application/json" }, "inventory")
  const text = yield* Effect.tryPromise({
    try: async () => (await stat(file.path)).size > longest ? undefined : readFile(file.path, "utf8"), catch: (error) => wrong((error as Error).message)
  })
  if (text === undefined) return yield* wrong(`it is longer than ${longest} bytes`)
  const said = yield* Effect.mapError(decode(text), ({ issue }) => {
    const [first] = format(issue).issues
    return wrong(`${(first?.path ?? []).map((segment) => String(typeof segment === "object" ? segment.key : segment)).join(".") || "the file"}: ${first?.message}`)
  })
  return inventoryOf(said, yield* now)
})

const inventoryOf = ({ distribution, licenses = [], packages, tools, type, vendor }: SaidInventory, epoch: number): Inventory => ({
  epoch, licenses: licenses satisfies ReadonlyArray<OwnLicense>, packages: packages.map((item) => ({ architecture: "", ...item })),
  ...(tools && { tools }), origin: "what the program that made the image has listed",
  system: { type, ...(vendor !== undefined && { vendor }), ...(distribution !== undefined && { distribution }) }
})
