/** A bill of materials as CycloneDX 1.6, in JSON. */
import { Schema } from "effect"
import { type Bill, type BilledPackage, timeOf, uuidOf } from "./bill.ts"
import type { InstalledPackage } from "./inventory.ts"

export const cyclonedxMediaType = "application/vnd.cyclonedx+json; version=1.6"

/** `hash`: a digest of the bill in hex, which tells this document from all others. */
export const cyclonedxDocument = (bill: Bill, hash: string) => ({
  $schema: "http://cyclonedx.org/schema/bom-1.6.schema.json",
  bomFormat: "CycloneDX",
  specVersion: "1.6",
  serialNumber: `urn:uuid:${uuidOf(hash)}`,
  version: 1,
  metadata: {
    timestamp: timeOf(bill),
    lifecycles: [{ phase: bill.inspected ? "build" : "pre-build" }],
    tools: { components: [{ type: "application", name: "kiln" }] },
    component: {
      type: "operating-system",
      "bom-ref": "image",
      name: bill.image.distribution,
      description: `${bill.image.type} of ${bill.image.distribution} for ${bill.image.architecture}`,
      hashes: [{ alg: "SHA-256", content: bill.image.artifact.digest.replace("sha256:", "") }],
      properties: [{ name: "kiln:filename", value: bill.image.artifact.filename }]
    },
    ...(bill.origin !== undefined && { properties: [{ name: "kiln:origin", value: bill.origin }] })
  },
  components: bill.packages.map((item) => componentOf(item, new Map(bill.licenses.map(({ id, name }) => [id, name]))))
})

const componentOf = (item: BilledPackage, own: ReadonlyMap<string, string>) => ({
  type: "library",
  "bom-ref": item.purl,
  ...(item.maintainer !== undefined && { publisher: item.maintainer }),
  name: item.name,
  version: item.version,
  ...(item.archive && { hashes: [{ alg: "SHA-256", content: item.archive.sha256 }] }),
  ...(item.license !== undefined && { licenses: [licenseOf(item.license, own)] }),
  purl: item.purl,
  ...(item.archive && { externalReferences: [{ type: "distribution", url: item.archive.url }] }),
  properties: [
    ...(item.architecture === "" ? [] : [{ name: "kiln:architecture", value: item.architecture }]),
    ...(item.source ? [{ name: "kiln:source:name", value: item.source.name }, { name: "kiln:source:version", value: item.source.version }] : [])
  ]
})

/** A single license without an id goes by its name: CycloneDX has no place for the text behind a reference. */
const licenseOf = (expression: string, own: ReadonlyMap<string, string>) => {
  const name = own.get(expression)
  return name === undefined ? { expression, acknowledgement: "declared" } : { license: { name, acknowledgement: "declared" } }
}

const Property = Schema.Struct({ name: Schema.String, value: Schema.String })
const Written = Schema.fromJsonString(Schema.Struct({
  components: Schema.Array(Schema.Struct({
    name: Schema.String,
    version: Schema.String,
    properties: Schema.Array(Property)
  }))
}))
const decode = Schema.decodeUnknownSync(Written)

/** What a document of ours says is installed. */
export const installedIn = (json: string): ReadonlyArray<InstalledPackage> =>
  decode(json).components.map(({ name, properties, version }) => {
    const property = (wanted: string) => properties.find((each) => each.name === wanted)?.value
    const [source, sourceVersion] = [property("kiln:source:name"), property("kiln:source:version")]
    return {
      name, version,
      architecture: property("kiln:architecture") ?? "",
      ...(source !== undefined && sourceVersion !== undefined && { source: { name: source, version: sourceVersion } })
    }
  })
