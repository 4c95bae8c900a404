/** A bill of materials as SPDX 2.3, in JSON. */
import { type Bill, type BilledPackage, timeOf, uuidOf } from "./bill.ts"

export const spdxMediaType = "application/spdx+json"

const unknown = "NOASSERTION"
const document = "SPDXRef-DOCUMENT"
const image = "SPDXRef-Image"

/** `hash`: a digest of the bill in hex, which tells this document from all others. */
export const spdxDocument = (bill: Bill, hash: string) => {
  const idOf = idsOf(bill.packages)
  return {
    spdxVersion: "SPDX-2.3",
    dataLicense: "CC0-1.0",
    SPDXID: document,
    name: bill.image.artifact.filename,
    documentNamespace: `urn:uuid:${uuidOf(hash)}`,
    creationInfo: { created: timeOf(bill), creators: ["Tool: kiln"], comment: commentOf(bill) },
    documentDescribes: [image],
    packages: [imageOf(bill), ...bill.packages.map((item) => packageOf(item, idOf(item)))],
    ...(bill.licenses.length > 0 && {
      hasExtractedLicensingInfos: bill.licenses.map(({ id, name, text }) => ({ licenseId: id, name, extractedText: text }))
    }),
    relationships: [
      { spdxElementId: document, relationshipType: "DESCRIBES", relatedSpdxElement: image },
      ...bill.packages.map((item) => ({ spdxElementId: image, relationshipType: "CONTAINS", relatedSpdxElement: idOf(item) }))
    ]
  }
}

const commentOf = ({ inspected, origin = "what dpkg says is installed in the image and from the lock of the build" }: Bill): string =>
  inspected
    ? `Made right after the build from ${origin}.`
    : "Made from the lock of the build: what was resolved. Nobody has looked into the image."

const imageOf = ({ image: { architecture, artifact, distribution, type } }: Bill) => ({
  SPDXID: image,
  name: distribution,
  packageFileName: artifact.filename,
  summary: `${type} of ${distribution} for ${architecture}`,
  downloadLocation: unknown,
  filesAnalyzed: false,
  checksums: [{ algorithm: "SHA256", checksumValue: artifact.digest.replace("sha256:", "") }],
  licenseConcluded: unknown,
  licenseDeclared: unknown,
  copyrightText: unknown,
  primaryPackagePurpose: "OPERATING_SYSTEM"
})

const packageOf = (item: BilledPackage, id: string) => ({
  SPDXID: id,
  name: item.name,
  versionInfo: item.version,
  ...(item.maintainer !== undefined && { supplier: supplierOf(item.maintainer) }),
  downloadLocation: item.archive?.url ?? unknown,
  filesAnalyzed: false,
  ...(item.archive && { checksums: [{ algorithm: "SHA256", checksumValue: item.archive.sha256 }] }),
  ...(item.source && { sourceInfo: `built from source package ${item.source.name} ${item.source.version}` }),
  licenseConcluded: unknown,
  licenseDeclared: item.license ?? unknown,
  copyrightText: unknown,
  externalRefs: [{ referenceCategory: "PACKAGE-MANAGER", referenceType: "purl", referenceLocator: item.purl }]
})

/** Two architectures of one package may be there side by side, and of kernels two versions. */
const idsOf = (packages: ReadonlyArray<BilledPackage>) => {
  const shared = Object.groupBy(packages, shortOf)
  return (item: BilledPackage) => plainId(shared[shortOf(item)]!.length === 1 ? shortOf(item) : `${shortOf(item)}-${item.version}`)
}

const shortOf = ({ architecture, name }: BilledPackage) => architecture === "" ? name : `${name}-${architecture}`

/** What an id may not hold is written as its code. */
const plainId = (text: string) => `SPDXRef-Package-${text.replace(/[^A-Za-z0-9.-]/g, (sign) => `.${sign.codePointAt(0)!.toString(16)}.`)}`

const team = /\b(?:team|teams|maintainers|developers|group|project|packagers|debian|ubuntu)\b/i

const supplierOf = (maintainer: string) => {
  const [, name, address] = /^"?(.*?)"?\s*<([^<>]*)>$/.exec(maintainer.trim()) ?? [undefined, maintainer.trim(), undefined]
  return `${team.test(name!) ? "Organization" : "Person"}: ${name}${address === undefined ? "" : ` (${address})`}`
}
