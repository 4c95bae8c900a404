import { execFileSync } from "node:child_process"
import { mkdirSync, mkdtempSync, readdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { dpkgInventory, listedInventory, lookInto, systemIn } from "../../../infra/evidence/look-into.ts"
import { limitsOf } from "../../../infra/sandbox/limits.ts"
import { needs } from "../../support/needs.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-look-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const at = (name: string) => join(folder, name)
const sh = (script: string) => execFileSync("bash", ["-euc", script], { cwd: folder, stdio: ["ignore", "ignore", "pipe"] })

const look = (path: string, lines: Array<string> = []) =>
  lookInto(path, mkdtempSync(at("job-")), { line: (text) => void lines.push(text), progress: () => {} }, limitsOf({}))

const dpkg = ["/usr/lib/os-release", "/usr/share/doc/less/copyright", "/var/lib/dpkg/status"]

describe("a look into an image", () => {
  needs("unshare", "perl", "zstd", "mksquashfs", "unsquashfs", "mke2fs", "debugfs", "sfdisk", "qemu-img")
  beforeAll(() => {
    for (const path of ["var/lib/dpkg", "usr/lib", "usr/share/doc/less", "usr/share/doc/odd", "etc"]) mkdirSync(at(`tree/${path}`), { recursive: true })
    writeFileSync(at("tree/var/lib/dpkg/status"), "Package: less\nStatus: install ok installed\nArchitecture: amd64\nVersion: 668-1\n")
    writeFileSync(at("tree/usr/lib/os-release"), "PRETTY_NAME=\"Debian\"\nVERSION_ID=\"13\"\nID=debian\n")
    writeFileSync(at("tree/usr/share/doc/less/copyright"), "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: GPL-3+\n")
    writeFileSync(at("secret"), "the worker's own")
    symlinkSync(at("secret"), at("tree/usr/share/doc/odd/copyright"))
    sh(`tar -C tree -cf a.tar .; tar -C tree -cf b.tar var usr; zstd -q a.tar; gzip -k b.tar; mksquashfs tree a.squash -quiet -no-progress
      truncate -s 8M a.ext4; mke2fs -q -F -t ext4 -d tree a.ext4
      truncate -s 12M disk; echo 'start=1MiB, size=1MiB
start=2MiB, size=8MiB' | sfdisk -q --no-reread --no-tell-kernel -X gpt disk
      dd if=a.ext4 of=disk bs=1M seek=2 conv=notrunc status=none; qemu-img convert -f raw -O qcow2 disk a.qcow2; mkdir bare; tar -C bare -cf bare.tar .; echo nothing >text`)
  })

  for (const name of ["a.tar", "b.tar", "a.tar.zst", "b.tar.gz", "a.squash", "a.ext4", "disk", "a.qcow2"]) {
    it.live(`finds dpkg's word, the system and the copyright files in ${name}, and nothing that a link leads to`, () =>
      Effect.gen(function*() {
        const lines: Array<string> = []
        const files = yield* look(at(name), lines)
        assert.deepStrictEqual([[...files.keys()].toSorted(), lines], [dpkg, []])
        const { licenses, origin, packages, system } = dpkgInventory(files, 7)!
        assert.deepStrictEqual(packages.map(({ license, name, version }) => [name, version, license]), [["less", "668-1", "GPL-3.0-or-later"]])
        assert.deepStrictEqual([licenses, origin, system], [[], "what dpkg says is installed in the image", { type: "deb", vendor: "debian", distribution: "debian-13" }])
      }))
  }

  it.live("finds nothing where there is no dpkg, says why where it cannot read, and leaves nothing behind", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      for (const name of ["bare.tar", "text"]) assert.isUndefined(dpkgInventory(yield* look(at(name), lines), 7))
      assert.deepStrictEqual(lines, ["what is in the image cannot be read: on its disk is no file system that can be read here"])
      const place = mkdtempSync(at("job-"))
      yield* lookInto(at("a.tar"), place, { line: () => {}, progress: () => {} }, limitsOf({}))
      assert.deepStrictEqual(readdirSync(place), [])
    }))
})

describe("a list of packages that somebody else has made", () => {
  const status = "Package: less\nStatus: install ok installed\nArchitecture: amd64\nVersion: 668-1\nSource: lesser\n"
  const copyright = "Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/\nLicense: Own\n"
  const system = { type: "deb", vendor: "debian", distribution: "debian-13" }
  const less = { name: "less", version: "668-1", architecture: "amd64" }

  it("is what counts, with all that the image says of the same packages", () => {
    const found = listedInventory([less, { ...less, name: "gone" }], new Map([["/var/lib/dpkg/status", status], ["/usr/share/doc/less/copyright", copyright]]), 7, "a list", system)
    assert.deepStrictEqual(found.packages, [{ ...less, source: { name: "lesser", version: "668-1" }, license: "LicenseRef-lesser-Own" }, { ...less, name: "gone" }])
    assert.deepStrictEqual(found.licenses.map(({ id }) => id), ["LicenseRef-lesser-Own"])
  })

  it("has its licenses where dpkg's own word was cleaned away, too", () =>
    assert.deepStrictEqual(listedInventory([less], new Map([["/usr/share/doc/less/copyright", copyright]]), 7, "a list", system).packages, [{ ...less, license: "LicenseRef-less-Own" }]))

  it("is of a system that has a name, or of none", () => {
    assert.deepStrictEqual(systemIn(new Map([["/usr/lib/os-release", "ID=\"arch\"\n"]])), { type: "deb", vendor: "arch", distribution: "arch" })
    assert.deepStrictEqual(systemIn(new Map()), { type: "deb" })
  })
})
