import { assert, describe, it } from "@effect/vitest"
import { billOf, purlOf } from "../../../domain/evidence/bill.ts"
import { cyclonedxDocument, installedIn } from "../../../domain/evidence/cyclonedx.ts"
import { spdxDocument } from "../../../domain/evidence/spdx.ts"
import { manifestOf } from "../../../domain/manifest.ts"
import { cyclonedxFaults } from "../../support/bill-schemas.ts"
import { artifact, inventory, lock, manifest } from "../../support/bills.ts"
import { image } from "../../support/composes.ts"

const hash = "0123456789abcdef".repeat(4)
const bill = billOf(manifest, artifact, inventory)!
const spdx = spdxDocument(bill, hash)
const cyclonedx = cyclonedxDocument(bill, hash)
const named = (name: string): (typeof spdx.packages)[number] & { readonly supplier?: string } => spdx.packages.find((item) => item.name === name)!

describe("a bill of materials", () => {
  it("lists what is installed, in one order, with the archives that the lock names", () =>
    assert.deepStrictEqual(bill.packages.map(({ archive, name }) => [name, archive?.sha256]), [
      ["g++-odd", undefined], ["less", "b".repeat(64)], ["libgcc-s1", "c".repeat(64)]
    ]))

  it("is of the lock alone where nobody has looked, and says so", () => {
    const unseen = billOf(manifest, artifact, undefined)!
    assert.deepStrictEqual(unseen.packages.map(({ name }) => name), ["less", "libgcc-s1"])
    assert.match(spdxDocument(unseen, hash).creationInfo.comment, /Nobody has looked/)
  })

  it("is not there where neither is known", () =>
    assert.isUndefined(billOf(manifestOf("simulated", { distribution: "test-distro-1", image, customizations: {} }, undefined), artifact, undefined)))

  it("names packages by their URLs, so that scanners find the source and its version", () => {
    assert.strictEqual(purlOf(inventory.packages[0]!, "debian-13"), "pkg:deb/debian/libgcc-s1@14.2.0-19?arch=amd64&distro=debian-13&upstream=gcc-14")
    assert.strictEqual(purlOf(inventory.packages[2]!, "debian-13"), "pkg:deb/debian/g%2B%2B-odd@1:2.0~rc1%2Bb1?arch=all&distro=debian-13&upstream=odd%401:2.0~rc1")
    assert.strictEqual(purlOf(inventory.packages[1]!, "ubuntu-24.04"), "pkg:deb/ubuntu/less@668-1?arch=amd64&distro=ubuntu-24.04")
  })

  it("names those of other systems as their builder says, of an RPM's version the epoch apart", () => {
    const bash = { name: "bash", version: "1:5.2-3.fc42", architecture: "x86_64" }
    assert.strictEqual(purlOf(bash, "mine-1", { type: "rpm", vendor: "fedora", distribution: "fedora-42" }), "pkg:rpm/fedora/bash@5.2-3.fc42?arch=x86_64&distro=fedora-42&epoch=1")
    assert.strictEqual(purlOf({ ...bash, version: "5.2", architecture: "" }, "mine-1", { type: "generic" }), "pkg:generic/bash@5.2")
  })

  it("tells two versions of one package apart, takes what is said twice once, and says what it was made from", () => {
    const kernel = (version: string) => ({ name: "kernel", version, architecture: "x86_64" })
    const both = billOf(manifest, artifact, { ...inventory, packages: [kernel("1"), kernel("2"), kernel("2")], origin: "a list" })!
    const { creationInfo, packages } = spdxDocument(both, hash)
    assert.deepStrictEqual(packages.slice(1).map(({ SPDXID }) => SPDXID), ["SPDXRef-Package-kernel-x86.5f.64-1", "SPDXRef-Package-kernel-x86.5f.64-2"])
    assert.strictEqual(creationInfo.comment, "Made right after the build from a list.")
    assert.deepStrictEqual(cyclonedxDocument(both, hash).metadata.properties, [{ name: "kiln:origin", value: "a list" }])
  })
})

describe("SPDX", () => {
  it("has the image with its digest, and every package in it", () => {
    assert.deepStrictEqual(named("debian-13").checksums, [{ algorithm: "SHA256", checksumValue: "a".repeat(64) }])
    const ids = spdx.packages.map(({ SPDXID }) => SPDXID)
    assert.strictEqual(new Set(ids).size, 4)
    assert.deepStrictEqual(ids.filter((id) => !/^SPDXRef-[A-Za-z0-9.-]+$/.test(id)), [])
    assert.deepStrictEqual(spdx.relationships.slice(1).map(({ relatedSpdxElement }) => relatedSpdxElement), ids.slice(1))
  })

  it("tells people from teams, and what nobody knows", () => {
    assert.strictEqual(named("less").supplier, "Person: Milan Kupcevic (milan@debian.org)")
    assert.strictEqual(named("libgcc-s1").supplier, "Organization: Debian GCC Maintainers (debian-gcc@lists.debian.org)")
    assert.deepStrictEqual([named("g++-odd").licenseDeclared, named("g++-odd").downloadLocation], ["NOASSERTION", "NOASSERTION"])
  })

  it("explains every reference to a license of no id", () => {
    const used = spdx.packages.flatMap(({ licenseDeclared }) => licenseDeclared.match(/LicenseRef-[A-Za-z0-9.-]+/g) ?? [])
    assert.deepStrictEqual(spdx.hasExtractedLicensingInfos?.map(({ licenseId }) => licenseId), used)
  })

  it("says the same of the same image, at the time that everything in it has", () => {
    assert.deepStrictEqual(spdx.creationInfo.created, "2025-11-13T02:13:20Z")
    assert.strictEqual(spdx.documentNamespace, "urn:uuid:01234567-89ab-8def-8123-456789abcdef")
    assert.strictEqual(JSON.stringify(spdxDocument(billOf(manifest, artifact, { ...inventory, packages: inventory.packages.toReversed() })!, hash)), JSON.stringify(spdx))
  })
})

describe("CycloneDX", () => {
  it("holds to its own schema, strictly", async () => {
    assert.isNull(await cyclonedxFaults(cyclonedx))
    const own = billOf(manifest, artifact, { ...inventory, packages: [{ ...inventory.packages[0]!, license: "LicenseRef-gcc-14-runtime" }] })!
    assert.isNull(await cyclonedxFaults(cyclonedxDocument(own, hash)))
    assert.isNull(await cyclonedxFaults(cyclonedxDocument(billOf({ ...manifest, lock }, artifact, undefined)!, hash)))
    assert.isNotNull(await cyclonedxFaults({ ...cyclonedx, serialNumber: "urn:uuid:x" }))
  })

  it("is read back as what is installed", () => {
    const [odd, less] = installedIn(JSON.stringify(cyclonedx))
    assert.deepStrictEqual(odd, { name: "g++-odd", version: "1:2.0~rc1+b1", architecture: "all", source: { name: "odd", version: "1:2.0~rc1" } })
    assert.strictEqual(less?.name, "less")
  })
})
