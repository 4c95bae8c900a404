/** The contract of builders for mkosi itself, Debian 13's, in a tree of its own. Takes root and some minutes, so it is asked for by `KILN_TEST_MKOSI=1`. */
import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { afterAll, assert, beforeAll, describe, it } from "@effect/vitest"
import { Effect, Schema } from "effect"
import { type ImageSpec, manifestOf } from "../../domain/manifest.ts"
import { machineMirrors } from "../../infra/debian/machine-mirrors.ts"
import { mkosiBuilder } from "../../infra/mkosi/builder.ts"
import { MkosiDistribution } from "../../infra/mkosi/settings.ts"
import { imageBuilderContract } from "../infra/image-builder.contract.ts"
import { evidenceOf } from "../support/evidence-of.ts"
import { needs, skipWhere } from "../support/needs.ts"

const isAsked = process.env["KILN_TEST_MKOSI"] === "1"
const script = join(import.meta.dirname, "../support/mkosi.sh")
const root = join(process.env["KILN_TOOLS"] ?? join(import.meta.dirname, "../../.tools"), "mkosi-trixie")
/** The folder that the tool sees too. */
const folder = mkdtempSync("/tmp/kiln-mkosi-")
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const configured = (name: string, conf: string, files: Readonly<Record<string, string>> = {}) => {
  const directory = join(folder, name)
  for (const [path, text] of Object.entries({ "mkosi.conf": conf, ...files })) {
    mkdirSync(join(directory, path, ".."), { recursive: true })
    writeFileSync(join(directory, path), text)
    if (text.startsWith("#!")) chmodSync(join(directory, path), 0o755)
  }
  return Schema.decodeUnknownSync(MkosiDistribution)({
    distribution: name, builder: "mkosi", program: ["bash", script, root, "--"], directory,
    architectures: { x86_64: { tree: { format: "tar" }, packed: { format: "tar", compressed: "gz" }, disk: { format: "disk" } } }
  })
}
const bare = "[Distribution]\nDistribution=custom\n\n[Content]\nBootable=no\n"
/** Less than this mkosi takes for no operating system. */
const skeleton = { "mkosi.skeleton/usr/lib/os-release": "ID=tiny\n" }
const of = (distribution: string, customizations: ImageSpec["customizations"] = {}, type = "tree"): ImageSpec =>
  ({ distribution, image: { architecture: "x86_64", type }, customizations })
const inTar = (path: string, member: string) => execFileSync("tar", ["--extract", "--to-stdout", "--file", path, member], { encoding: "utf8" })

describe("the mkosi builder, with the tool itself", () => {
  needs("mmdebstrap", "unshare", "tar", "zstd")
  skipWhere(!isAsked, "asked for by KILN_TEST_MKOSI=1")
  skipWhere(process.geteuid?.() !== 0, "mkosi is started in a root of its own, which only root may do")
  beforeAll(() => {
    if (isAsked) execFileSync("bash", [script, root], { stdio: "ignore" })
  }, 900_000)
  const debian = (mirror: string) => configured("debian", "[Distribution]\nDistribution=debian\nRelease=trixie\n\n[Content]\nBootable=no\nPackages=base-files\n", {
    "mkosi.sandbox/etc/apt/sources.list.d/mkosi.sources": `Types: deb\nURIs: ${mirror}\nSuites: trixie\nComponents: main\nSigned-By: /usr/share/keyrings/debian-archive-keyring.gpg\n`
  })
  const builder = mkosiBuilder([
    configured("small", bare, { ...skeleton, "mkosi.extra/etc/greeting": "hello\n" }), configured("fails", bare, { ...skeleton, "mkosi.postinst": "#!/bin/bash\necho it went wrong >&2\nexit 7\n" }),
    configured("endless", bare, { "mkosi.sync": "#!/bin/bash\ntrap '' TERM\n(trap '' TERM; sleep 300) &\necho it has begun\nwait\n" })
  ], join(folder, "cache"))
  imageBuilderContract({
    builder, sound: [of("small", { hostname: "one" }), of("small", { hostname: "two" }, "packed")], contentOf: ({ path }) => inTar(path, "./etc/hostname") + inTar(path, "./etc/greeting"),
    endless: { ...of("endless"), begun: /it has begun/ },
    failing: { spec: of("fails"), class: "platform", message: /^mkosi failed/, excerpt: /it went wrong/ }
  }, 300_000)

  it.live("given a Debian of packages, then there is a disk without a boot loader, and its bills have mkosi's list with the licenses that are in the image", () =>
    Effect.gen(function*() {
      const real = mkosiBuilder([debian((yield* machineMirrors()).debian)], join(folder, "cache"))
      const build = (customizations: ImageSpec["customizations"], lines: Array<string> = []) => {
        const manifest = manifestOf("mkosi", of("debian", customizations, "disk"), undefined)
        const place = mkdtempSync(join(folder, "job-"))
        return Effect.map(real.build(manifest, new Map(), place, { line: (text) => void lines.push(text), progress: () => {} }), (file) => ({ file, lines, manifest }))
      }
      const { file, lines, manifest } = yield* build({ packages: ["less"], hostname: "box", timezone: "Europe/Berlin", locale: "C.UTF-8" })
      assert.deepInclude(file, { format: "raw", filename: "debian.raw" })
      const { documents, licenses, purls } = yield* evidenceOf(manifest, file)
      assert.notInclude(lines.join("\n"), "cannot be read")
      assert.isAbove(purls.length, 30)
      assert.isTrue(purls.some((purl) => /^pkg:deb\/debian\/less@[^?]+\?arch=amd64&distro=debian-13$/.test(purl)), purls.join("\n"))
      assert.isAbove(licenses.filter((license) => license !== "NOASSERTION").length, 20)
      assert.match(documents?.spdx.creationInfo.comment ?? "", /the manifest that mkosi has made/)
      const refused = yield* Effect.flip(build({ packages: ["no-such-thing-at-all"] }))
      assert.deepStrictEqual([refused.class, refused.message], ["user", "customizations.packages: there is no package no-such-thing-at-all"])
    }), 1_200_000)
})
