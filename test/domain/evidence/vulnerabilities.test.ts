import { assert, describe, it } from "@effect/vitest"
import { compareVersions } from "../../../domain/evidence/debian-version.ts"
import type { InstalledPackage } from "../../../domain/evidence/inventory.ts"
import { type Advisory, countsOf, vulnerabilitiesOf } from "../../../domain/evidence/vulnerabilities.ts"

describe("Debian's versions", () => {
  it("are ordered as its policy says", () => {
    const ascending = ["0~~", "0~~a", "0~", "0", "0a", "0+", "1.0~rc1", "1.0~rc1-1", "1.0", "1.0-0+deb13u1", "1.0-1~bpo12+1", "1.0-1", "1.0-1+b1", "1.0-1.1", "1.0-2", "1.0-10",
      "1.0.1-1", "1.00002-1", "1.20250101120000123456789-1", "1.20250101120000123456790-1", "1:0.1-1", "2:0"]
    assert.deepStrictEqual(ascending.toSorted(compareVersions), ascending)
    assert.deepStrictEqual(ascending.toReversed().toSorted(compareVersions), ascending)
  })

  it("are the same where only zeros or an absent part differ", () => {
    for (const [a, b] of [["1.0", "0:1.0"], ["1.0-0", "1.0"], ["1.001-1", "1.1-01"]] as const) assert.strictEqual(compareVersions(a, b), 0, `${a} ${b}`)
  })
})

describe("known flaws", () => {
  const installed = (name: string, source: string, version: string): InstalledPackage => ({ name, version, architecture: "amd64", source: { name: source, version } })
  const packages = [installed("libssl3", "openssl", "3.0.11-1"), installed("openssl", "openssl", "3.0.11-1"), installed("less", "less", "668-1")]
  const openssl: ReadonlyArray<Advisory> = [
    { id: "CVE-1", status: "resolved", fixedVersion: "3.0.11-1", urgency: "high" },
    { id: "CVE-2", status: "resolved", fixedVersion: "3.0.12-1", urgency: "low" },
    { id: "CVE-3", status: "open", urgency: "unimportant" },
    { id: "CVE-4", status: "open", urgency: "high", description: "bad" },
    { id: "CVE-5", status: "undetermined", urgency: "not yet assigned" }
  ]
  const found = vulnerabilitiesOf(packages, new Map([["openssl", openssl], ["curl", [openssl[3]!]]]))

  it("are those of installed sources that no installed version has mended, the gravest first", () =>
    assert.deepStrictEqual(found.map(({ id, status }) => [id, status]), [["CVE-4", "open"], ["CVE-2", "fixable"], ["CVE-5", "undetermined"], ["CVE-3", "open"]]))

  it("name every package of the source, and what mends them", () =>
    assert.deepStrictEqual(found[1], {
      id: "CVE-2", status: "fixable", urgency: "low", packages: ["libssl3", "openssl"], source: { name: "openssl", version: "3.0.11-1" }, fixedVersion: "3.0.12-1"
    }))

  it("are counted by urgency", () => assert.deepStrictEqual(countsOf(found), { high: 1, low: 1, "not yet assigned": 1, unimportant: 1 }))
})
