import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type ImageSpec, manifestOf } from "../../../domain/manifest.ts"
import { mkosiBuilder } from "../../../infra/mkosi/builder.ts"
import { mkosiProgress, wordsOf } from "../../../infra/mkosi/progress.ts"
import { MkosiDistribution } from "../../../infra/mkosi/settings.ts"
import { evidenceOf } from "../../support/evidence-of.ts"
import { imageBuilderContract } from "../image-builder.contract.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
writeFileSync(join(folder, "mkosi.conf"), "[Distribution]\nDistribution=debian\n")
const standIn = join(import.meta.dirname, "../../support/stand-ins/mkosi")
const entry = Schema.decodeUnknownSync(MkosiDistribution)
const standing = (distribution: string, mode = "", more = {}) =>
  entry({
    distribution, builder: "mkosi", program: [standIn], directory: folder, env: { STAND_IN: mode },
    architectures: { x86_64: { disk: { bootable: true }, archive: { format: "tar", compressed: "gz" }, plain: { format: "tar" }, kernel: { format: "uki", compressed: "zst" } } }, ...more
  })
const of = (distribution: string, customizations: ImageSpec["customizations"] = {}, type = "disk"): ImageSpec =>
  ({ distribution, image: { architecture: "x86_64", type }, customizations })
const builder = mkosiBuilder([standing("sound"), standing("fails", "fails"), standing("endless", "endless"), standing("link", "link"), standing("bare", "bare")], join(folder, "cache"))

describe("the mkosi builder, with a stand-in for the tool", () => {
  imageBuilderContract({
    builder, contentOf: ({ path }) => readFileSync(path, "utf8"), sound: [of("sound"), of("sound", { hostname: "box" })], endless: { ...of("endless"), begun: /^endless$/ },
    failing: {
      spec: of("fails", { packages: ["no-such-thing"] }), class: "user", message: /^customizations\.packages: there is no package no-such-thing$/,
      excerpt: /returned non-zero exit code 100/
    },
    hostile: [of("link")]
  })

  it.live("given customizations and a format, then the tool gets them, each as a part of its own argument", () =>
    Effect.gen(function*() {
      const place = mkdtempSync(join(folder, "job-"))
      const customizations = { hostname: "box", timezone: "Europe/Berlin", locale: "de_DE.UTF-8", packages: ["jq", { name: "tree", version: "2.1-1" }] }
      const file = yield* builder.build(manifestOf("mkosi", of("sound", customizations, "archive"), undefined), new Map(), place, { line: () => {}, progress: () => {} })
      assert.strictEqual(readFileSync(file.path, "utf8"), "box Europe/Berlin de_DE.UTF-8 jq tree=2.1-1\n")
      assert.deepInclude(file, { format: "tar.gz", filename: "sound.tar.gz", mediaType: "application/gzip" })
    }))

  it.live("given no word of compression, or a format that is never packed, then the artifact is what mkosi made, by its name", () =>
    Effect.gen(function*() {
      const made = (type: string) =>
        builder.build(manifestOf("mkosi", of("sound", {}, type), undefined), new Map(), mkdtempSync(join(folder, "job-")), { line: () => {}, progress: () => {} })
      assert.deepInclude(yield* made("plain"), { format: "tar.zst", filename: "sound.tar.zst" })
      assert.deepInclude(yield* made("kernel"), { format: "efi", filename: "sound.efi" })
    }))

  it.live("given the manifest that mkosi makes of an image, then it is the image's bills; where it makes none, then the evidence says so", () =>
    Effect.gen(function*() {
      const made = Effect.fnUntraced(function*(name: string) {
        const manifest = manifestOf("mkosi", of(name), undefined)
        return yield* evidenceOf(manifest, yield* builder.build(manifest, new Map(), mkdtempSync(join(folder, "job-")), { line: () => {}, progress: () => {} }))
      })
      const [sound, bare] = [yield* made("sound"), yield* made("bare")]
      assert.deepStrictEqual(sound.purls, ["pkg:deb/debian/less@668-1?arch=amd64&distro=debian-trixie"])
      assert.strictEqual(sound.documents?.spdx.creationInfo.comment, "Made right after the build from the manifest that mkosi has made of the image.")
      assert.strictEqual(bare.noBill, "mkosi has listed no packages")
    }))

  it.live("given a version that is too old, or no tool at all, then its distribution is not offered here", () =>
    Effect.gen(function*() {
      const program = ["env", "STAND_IN_VERSION=14", standIn]
      const found = yield* mkosiBuilder([standing("old", "", { program }), standing("gone", "", { program: ["no-mkosi-here"] }), standing("new")], folder).obstacles
      assert.deepStrictEqual([...found], [["old", "mkosi 14 is too old: 24 or later is needed"], ["gone", "there is no program no-mkosi-here"]])
    }))
})

describe("mkosi's log", () => {
  it("tells the stage by its steps, and nothing by other lines", () => {
    assert.deepStrictEqual(mkosiProgress("‣  Installing Debian"), { stage: "base-system", percent: 10 })
    assert.deepStrictEqual(mkosiProgress("‣  \u001b[1mInstalling extra packages for Debian\u001b[0m"), { stage: "packages", percent: 35 })
    assert.deepStrictEqual(mkosiProgress("‣ [main]  Generating system users"), { stage: "customize", percent: 62 })
    assert.isUndefined(mkosiProgress("Installing Debian"))
    assert.strictEqual(wordsOf("\u001b]0;mkosi: x\u0007‣ \u001b[1mDone\u001b[0m").text, "Done")
  })
})
