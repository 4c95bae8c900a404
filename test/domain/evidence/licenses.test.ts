import { readFileSync } from "node:fs"
import { createRequire } from "node:module"
import { dirname, join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { spdxOf } from "../../../domain/evidence/licenses.ts"

const expression = (...names: ReadonlyArray<string>) => spdxOf(names, "pkg").expression

describe("Debian's names of licenses", () => {
  it("are SPDX ids where SPDX has them", () => {
    const names = {
      "GPL-2": "GPL-2.0-only", "GPL-2+": "GPL-2.0-or-later", "gpl-3+": "GPL-3.0-or-later", "LGPL-2.1+": "LGPL-2.1-or-later", "GPL-2.0-only": "GPL-2.0-only",
      "GFDL-NIV-1.3+": "GFDL-1.3-no-invariants-or-later", Expat: "MIT", "BSD-3-clause": "BSD-3-Clause", "Apache-2": "Apache-2.0", ZLIB: "Zlib",
      Artistic: "Artistic-1.0-Perl", "GPL-2 with Linux-syscall-note exception": "GPL-2.0-only WITH Linux-syscall-note",
      "GPL-3+ with Autoconf exception": "GPL-3.0-or-later WITH Autoconf-exception-3.0", "GPL-3+-WITH-BISON-EXCEPTION": "GPL-3.0-or-later WITH Bison-exception-2.2",
      Perl: "Artistic-1.0-Perl OR GPL-1.0-or-later"
    }
    assert.deepStrictEqual(Object.keys(names).map((name) => expression(name)), Object.values(names))
  })

  it("become references of their package where SPDX has none, and keep their name", () =>
    assert.deepStrictEqual(spdxOf(["public-domain", "GPL-2+ with odd exception", "GPL-9", "GPL"], "libc++"), {
      expression: "LicenseRef-libcplusplus-GPL AND LicenseRef-libcplusplus-GPL-2-or-later-with-odd-exception AND LicenseRef-libcplusplus-GPL-9 AND LicenseRef-libcplusplus-public-domain",
      own: ["public-domain", "GPL-2+ with odd exception", "GPL-9", "GPL"].map((name) => ({
        id: `LicenseRef-libcplusplus-${name.replaceAll("+", "-or-later").replaceAll(" ", "-")}`, name
      }))
    }))

  it("are joined as the copyright format says: and before or, and commas last", () => {
    assert.strictEqual(expression("ISC or MIT and Zlib"), "ISC OR (MIT AND Zlib)")
    assert.strictEqual(expression("ISC or MIT, and Zlib"), "(ISC OR MIT) AND Zlib")
    assert.strictEqual(expression("Zlib, and ISC or MIT"), "(ISC OR MIT) AND Zlib")
    assert.strictEqual(expression("Perl and MIT"), "(Artistic-1.0-Perl OR GPL-1.0-or-later) AND MIT")
  })

  it("all apply where several parts have several, each said once", () =>
    assert.strictEqual(expression("MIT", "GPL-2+ and MIT", "ISC or MIT", "Expat"), "GPL-2.0-or-later AND (ISC OR MIT) AND MIT"))

  it("turn into ids that SPDX knows", () => {
    const library = createRequire(import.meta.url).resolve("@cyclonedx/cyclonedx-library/package.json")
    const ids = new Set((JSON.parse(readFileSync(join(dirname(library), "res/schema/spdx.SNAPSHOT.schema.json"), "utf8")) as { enum: Array<string> }).enum)
    const source = readFileSync(join(import.meta.dirname, "../../../domain/evidence/licenses.ts"), "utf8")
    const named = [...source.matchAll(/"([A-Za-z0-9.-]+)"/g)].map(([, name]) => name!)
    const families = ["GPL", "LGPL", "AGPL", "GFDL", "GFDL-NIV"].flatMap((family) => ["1", "1.0", "1.1", "1.2", "1.3", "2", "2.0", "2.1", "3"].flatMap((version) =>
      ["", "+"].map((later) => `${family}-${version}${later}`)))
    const turned = [...named, ...families].map((name) => expression(name)).filter((each) => !/^LicenseRef-| WITH | OR /.test(each))
    assert.isAbove(turned.length, 60)
    assert.deepStrictEqual(turned.filter((id) => !ids.has(id)), [])
  })
})
