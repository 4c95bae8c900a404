import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { licensesOf } from "../../../infra/debian/copyright-file.ts"
import { filesIn, inventoryOf } from "../../../infra/debian/inventory.ts"
import { scriptPath } from "../../../infra/debian/scripts.ts"
import { needs, skipWhere } from "../../support/needs.ts"

const status = `Package: libgcc-s1
Status: install ok installed
Maintainer: Debian GCC Maintainers <debian-gcc@lists.debian.org>
Architecture: amd64
Source: gcc-14 (14.2.0-19)
Version: 14.2.0-19
Description: a library
 Package: not-a-field

Package: gcc-14-base
Status: install ok installed
Architecture: amd64
Source: gcc-14
Version: 14.2.0-19

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: adduser
Status: install ok installed
Architecture: all
Version: 3.152
`
const copyright = `Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
License: GPL-2+

Files: *
Copyright: somebody
License: GPL-2+
 The text.
 .
 License: not-a-field

Files: debian/*
License: public-domain

License: never-used
 Text.
`

describe("what is in a tree", () => {
  const files = new Map([["/var/lib/dpkg/status", status], ["/usr/share/doc/adduser/copyright", "Written by hand. License: GPL-3"], ["/usr/share/doc/gcc-14-base/copyright", copyright]])
  const { licenses, packages } = inventoryOf(files, 7, { dpkg: "1" })

  it("is what dpkg says is installed, with its source and maintainer", () =>
    assert.deepStrictEqual(packages.map(({ maintainer, name, source }) => [name, source, maintainer]), [
      ["libgcc-s1", { name: "gcc-14", version: "14.2.0-19" }, "Debian GCC Maintainers <debian-gcc@lists.debian.org>"],
      ["gcc-14-base", { name: "gcc-14", version: "14.2.0-19" }, undefined],
      ["adduser", { name: "adduser", version: "3.152" }, undefined]
    ]))

  it("has the licenses of its copyright file, or of another package's of the same source, and none that only a person can tell", () => {
    const expected = "GPL-2.0-or-later AND LicenseRef-gcc-14-public-domain"
    assert.deepStrictEqual(packages.map(({ license }) => license), [expected, expected, undefined])
    assert.deepStrictEqual(licenses, [{
      id: "LicenseRef-gcc-14-public-domain", name: "public-domain", text: "What /usr/share/doc/gcc-14-base/copyright in the image calls \"public-domain\"; the text is there."
    }])
  })

  it("leaves licenses out that a copyright file explains and nothing is under", () => assert.deepStrictEqual(licensesOf(copyright), ["GPL-2+", "public-domain"]))
})

describe("the look into a tree", () => {
  needs("perl", "mkfifo")
  skipWhere(process.getuid?.() !== 0, "only root may go into a tree like that")
  let dir = ""
  beforeEach(() => {
    dir = mkdtempSync(join(tmpdir(), "kiln-inventory-"))
    for (const folder of ["var/lib/dpkg", "usr/share/doc/good", "usr/share/doc/link", "usr/share/doc/pipe", "usr/share/doc/big"]) mkdirSync(join(dir, "tree", folder), { recursive: true })
    writeFileSync(join(dir, "tree/var/lib/dpkg/status"), status)
    writeFileSync(join(dir, "tree/usr/share/doc/good/copyright"), "9 /usr/share/doc/forged/copyright\nnot so\n")
  })
  afterEach(() => rmSync(dir, { recursive: true, force: true }))
  const looked = () => {
    execFileSync("perl", [scriptPath("inventory.pl"), join(dir, "tree"), join(dir, "facts")], { stdio: "pipe", timeout: 20_000 })
    return filesIn(readFileSync(join(dir, "facts")))
  }

  it("finds what dpkg says and the copyright files, as they are", () =>
    assert.deepStrictEqual([...looked()], [
      ["/var/lib/dpkg/status", status], ["/usr/share/doc/good/copyright", "9 /usr/share/doc/forged/copyright\nnot so\n"]
    ]))

  it("is led nowhere by links, pipes and files without end", () => {
    writeFileSync(join(dir, "secret"), "the worker's own")
    symlinkSync(join(dir, "secret"), join(dir, "tree/usr/share/doc/link/copyright"))
    execFileSync("mkfifo", [join(dir, "tree/usr/share/doc/pipe/copyright")])
    execFileSync("truncate", ["-s", "9G", join(dir, "tree/usr/share/doc/big/copyright")])
    assert.deepStrictEqual([...looked().keys()], ["/var/lib/dpkg/status", "/usr/share/doc/good/copyright"])
  })
})
