import { execFileSync } from "node:child_process"
import { mkdtempSync, rmSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type ImageSpec, type Manifest, manifestOf } from "../../../domain/manifest.ts"
import { diskimageBuilder } from "../../../infra/diskimage-builder/builder.ts"
import { DibDistribution } from "../../../infra/diskimage-builder/settings.ts"
import { skipWhere } from "../../support/needs.ts"
import { evidenceOf } from "../../support/evidence-of.ts"
import { imageBuilderContract, type Subject } from "../image-builder.contract.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const isRoot = process.geteuid?.() === 0
const entry = Schema.decodeUnknownSync(DibDistribution)
const standIn = join(import.meta.dirname, "../../support/stand-ins/disk-image-create")

const of = (distribution: string, customizations: ImageSpec["customizations"] = {}, parameters = {}): ImageSpec =>
  ({ distribution, image: { architecture: "x86_64", type: "tree", options: { parameters } }, customizations })
const greeting = { greeting: { pattern: "[a-z]+", default: "hello" } }
const tree = { x86_64: { tree: { format: "tar", parameters: greeting, parameter_env: { greeting: "DIB_GREETING" } } } }
const contentOf: Subject["contentOf"] = ({ path }) => execFileSync("tar", ["--extract", "--to-stdout", "--file", path, "./etc/greeting"], { encoding: "utf8" })

describe("the diskimage-builder builder, with a stand-in for the tool", () => {
  skipWhere(!isRoot, "diskimage-builder works as root only")
  const standing = (distribution: string, mode = "") =>
    entry({ distribution, builder: "diskimage-builder", program: [standIn], elements: ["debian-minimal"], release: "bookworm", env: { STAND_IN: mode }, architectures: tree })
  const builder = diskimageBuilder([standing("sound"), standing("fails", "fails"), standing("endless", "endless"), standing("link", "link"), standing("dpkg", "dpkg"), standing("listed", "listed")], join(folder, "cache"))
  imageBuilderContract({
    builder, contentOf, sound: [of("sound"), of("sound", { packages: ["tree"] }, { greeting: "hi" })], endless: { ...of("endless"), begun: /^endless$/ },
    failing: {
      spec: of("fails", { packages: ["no-such-thing"] }), class: "user", message: /^customizations\.packages: there is no package no-such-thing$/,
      excerpt: /E: Unable to locate package/
    },
    hostile: [of("link")]
  })

  it.live("given elements, a release, packages and a parameter, then the tool gets them", () =>
    Effect.gen(function*() {
      const place = mkdtempSync(join(folder, "job-"))
      const stages = new Set<string>()
      const manifest = manifestOf(builder.name, of("sound", { packages: ["tree", "jq"] }, { greeting: "hi" }), undefined)
      const file = yield* builder.build(manifest, new Map(), place, { line: () => {}, progress: ({ stage }) => void stages.add(stage) })
      assert.strictEqual(contentOf(file), "bookworm hi tree,jq debian-minimal\n")
      assert.deepInclude(file, { format: "tar", filename: "sound.tar", mediaType: "application/x-tar" })
      assert.deepStrictEqual([...stages], ["root.d", "extra-data.d", "pre-install.d", "install.d", "finalise.d", "cleanup.d", "image", "done"])
    }))

  it.live("given an image with dpkg in it, a list of dpkg's beside it, or neither, then its bills are of these, or the evidence says why there are none", () =>
    Effect.gen(function*() {
      const made = Effect.fnUntraced(function*(name: string) {
        const [manifest, lines]: [Manifest, Array<string>] = [manifestOf(builder.name, of(name), undefined), []]
        const file = yield* builder.build(manifest, new Map(), mkdtempSync(join(folder, "job-")), { line: (text) => void lines.push(text), progress: () => {} })
        return yield* evidenceOf(manifest, file)
      })
      const [dpkg, listed, none] = [yield* made("dpkg"), yield* made("listed"), yield* made("sound")]
      assert.deepStrictEqual([dpkg.purls, dpkg.licenses], [["pkg:deb/debian/less@668-1?arch=amd64&distro=debian-12"], ["GPL-3.0-or-later OR LicenseRef-less-Less"]])
      assert.strictEqual(dpkg.documents?.spdx.creationInfo.comment, "Made right after the build from what dpkg says is installed in the image.")
      assert.deepStrictEqual([listed.purls, listed.licenses], [["pkg:deb/less@668-1?arch=amd64"], ["NOASSERTION"]])
      assert.strictEqual(none.noBill, "no dpkg could be found in it, and disk-image-create has left no list of packages")
    }))

  it("refuses a format that nobody can make, at its place", () => {
    const wrong = (type: object) => () => entry({ distribution: "x", builder: "diskimage-builder", elements: ["vm"], architectures: { x86_64: { disk: type } } })
    assert.throws(wrong({ format: "vhd" }), /what disk-image-create makes is one of tar/)
    assert.throws(wrong({ format: "tar", assemble: true }), /a disk that Kiln makes is one of raw/)
    assert.throws(wrong({ format: "tar", parameter_env: { greeting: "LD_PRELOAD" } }), /DIB_/)
  })
})
