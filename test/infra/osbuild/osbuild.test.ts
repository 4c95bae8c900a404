import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll, assert, describe, it } from "@effect/vitest"
import { Deferred, Effect, Fiber, Schema } from "effect"
import { type ImageSpec, type Manifest, manifestOf } from "../../../domain/manifest.ts"
import { blueprintOf } from "../../../infra/osbuild/blueprint.ts"
import { osbuildBuilder } from "../../../infra/osbuild/builder.ts"
import { OsbuildDistribution } from "../../../infra/osbuild/settings.ts"
import { evidenceOf } from "../../support/evidence-of.ts"
import { imageBuilderContract } from "../image-builder.contract.ts"

const folder = mkdtempSync(join(tmpdir(), "kiln-test-"))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const standIn = join(import.meta.dirname, "../../support/stand-ins/osbuild.mjs")
const entry = Schema.decodeUnknownSync(OsbuildDistribution)

const manifestFile = (name: string, manifest: object) => {
  const path = join(folder, `${name}.json`)
  writeFileSync(path, JSON.stringify(manifest))
  return path
}
const manifestWith = (type: string, greeting = "hello", sources = { "org.osbuild.inline": {} }) => ({
  version: "2", sources,
  pipelines: [
    { name: "tree", stages: [{ type: "org.test.greet", options: { greeting } }, { type }] },
    { name: "archive", stages: [{ type: "org.test.tar" }] }
  ]
})
const rpm = (...packages: ReadonlyArray<object>) => ({ type: "org.osbuild.rpm", options: { packages } })
/** What builds the image has packages of its own, which are none of the image's. */
const rpmManifest = {
  version: "2", sources: {},
  pipelines: [
    { name: "build", stages: [rpm({ name: "gcc", version: "15", release: "1.fc42", epoch: null })] },
    { name: "os", build: "name:build", stages: [rpm({ name: "bash", version: "5.2", release: "3.fc42", epoch: "1" }, { name: "filesystem", version: "3.18", release: "2.fc42", epoch: null })] },
    { name: "archive", build: "name:build", stages: [{ type: "org.test.tar", inputs: { tree: { origin: "org.osbuild.pipeline", references: ["name:os"] } } }] }
  ]
}
const standing = (distribution: string, manifest: object) =>
  entry({
    distribution, builder: "osbuild", program: [process.execPath, standIn],
    architectures: { x86_64: { archive: { export: "archive", format: "tar", manifest: manifestFile(distribution, manifest), checkpoints: ["tree"] } } }
  })
const of = (distribution: string): ImageSpec => ({ distribution, image: { architecture: "x86_64", type: "archive" }, customizations: {} })

const builder = osbuildBuilder([
  standing("one", manifestWith("org.test.more")), standing("two", manifestWith("org.test.more", "good day")), standing("endless", manifestWith("org.test.sleep")),
  standing("fails", manifestWith("org.test.fail")), standing("gone", manifestWith("org.test.more", "", { "org.test.gone": {} } as never)),
  standing("rpm", rpmManifest), standing("invalid", { version: "2" }), standing("link", manifestWith("org.test.link")),
  standing("no-export", { version: "2", pipelines: [{ name: "other", stages: [] }] })
], join(folder, "cache"))
const failureOf = (distribution: string) =>
  Effect.flip(builder.build(manifestOf("osbuild", of(distribution), undefined), new Map(), mkdtempSync(join(folder, "job-")), { line: () => {}, progress: () => {} }))

describe("the osbuild builder, with a stand-in for the tool", () => {
  imageBuilderContract({
    builder, contentOf: ({ path }) => readFileSync(path, "utf8"), sound: [of("one"), of("two")], endless: { ...of("endless"), begun: /^endless$/ },
    failing: { spec: of("fails"), class: "platform", message: /^the stage org\.test\.fail failed \(exit 1\)$/, excerpt: /it went wrong/ },
    hostile: [of("link")], lacks: /^(osbuild needs a directory \/etc\/containers)?$/
  })

  it.live("given sources that cannot be had, a manifest that is none, or a pipeline that is not there, then the failure says so", () =>
    Effect.gen(function*() {
      const found = yield* Effect.all(["gone", "invalid", "no-export"].map((name) => Effect.map(failureOf(name), (failure) => [failure.class, failure.message])))
      assert.deepStrictEqual(found, [
        ["repository", "osbuild could not fetch from the source org.test.gone"],
        ["platform", "osbuild refuses the manifest: pipelines: 'pipelines' is a required property"],
        ["platform", "osbuild failed (exit 1)"]
      ])
    }))

  it.live("given packages in osbuild's result, then they are the image's bills, without those of what built it; given none, then the evidence says so", () =>
    Effect.gen(function*() {
      const made = Effect.fnUntraced(function*(name: string) {
        const manifest = manifestOf("osbuild", of(name), undefined)
        return yield* evidenceOf(manifest, yield* builder.build(manifest, new Map(), mkdtempSync(join(folder, "job-")), { line: () => {}, progress: () => {} }))
      })
      assert.deepStrictEqual((yield* made("rpm")).purls, ["pkg:rpm/bash@5.2-3.fc42?arch=x86_64&epoch=1", "pkg:rpm/filesystem@3.18-2.fc42?arch=x86_64"])
      assert.strictEqual((yield* made("one")).noBill, "osbuild's result lists no packages, and no dpkg could be found in the image")
    }))

  it.live("given a cancel, then the tool is asked by SIGINT, which leaves no mounts, and is given the time to listen", () =>
    Effect.gen(function*() {
      const aborted = join(folder, "cache/osbuild/store/aborted")
      rmSync(aborted, { force: true })
      const begun = Deferred.makeUnsafe<void>()
      const line = (text: string) => void (text === "endless" && Deferred.doneUnsafe(begun, Effect.void))
      const building = yield* Effect.forkChild(
        builder.build(manifestOf("osbuild", of("endless"), undefined), new Map(), mkdtempSync(join(folder, "job-")), { line, progress: () => {} }))
      yield* Deferred.await(begun)
      yield* Fiber.interrupt(building)
      assert.isTrue(existsSync(aborted))
    }))

  it("wants either manifests, or the tool that makes them", () => {
    const wrong = (type: object, more = {}) => () =>
      entry({ distribution: "x", builder: "osbuild", architectures: { x86_64: { disk: { export: "qcow2", format: "qcow2", ...type } } }, ...more })
    assert.throws(wrong({}), /needs a manifest/)
    assert.throws(wrong({ manifest: "/a", image_builder_type: "qcow2" }), /needs a manifest; an image_builder_type goes with image_builder alone/)
    assert.throws(wrong({ manifest: "/a" }, { image_builder: { distro: "centos-9" } }), /needs an image_builder_type, and no manifest/)
    assert.doesNotThrow(wrong({ image_builder_type: "qcow2" }, { image_builder: { distro: "centos-9" } }))
  })
})

/** Stands in for the image-builder tool: checks what it is told and gives a manifest that greets with what it was given. */
const tool = join(folder, "image-builder")
writeFileSync(tool, `#!/bin/bash
set -eu
[ "$1 $2 $3 $4 $5 $6 $8" = "manifest --distro centos-9 --arch x86_64 --blueprint qcow2" ] || { echo "not as agreed: $*" >&2; exit 2; }
[ "$(stat -c %a "$7")" = 600 ] || { echo "others may read the blueprint" >&2; exit 2; }
grep -q '"name":"gone"' "$7" && { echo "error: cannot depsolve: missing packages: gone" >&2; exit 1; }
printf '%s' '{"version":"2","sources":{},"pipelines":[{"name":"archive","stages":[{"type":"org.test.greet","options":{"greeting":'
printf '"%s"' "$(base64 -w0 "$7")"
printf '%s' '}}]}]}'
`, { mode: 0o755 })

describe("the osbuild builder, with manifests of the image-builder tool", () => {
  const password = "correct horse"
  const sealed = { fingerprint: "f".repeat(64), keyId: "k", nonce: "n", ciphertext: "c" }
  const customizations: Manifest["customizations"] = {
    hostname: "box", packages: ["jq", { name: "tree", version: "2.1" }], users: [{ name: "ann", password: sealed, keys: ["ssh-ed25519 AAAA a", "ssh-ed25519 BBBB b"], sudo: true }],
    timezone: "UTC", locale: "de_DE.UTF-8", keyboard: { layout: "de", variant: "nodeadkeys" }, services: { enabled: ["sshd"] }
  }
  const made = osbuildBuilder([entry({
    distribution: "centos-9", builder: "osbuild", program: [process.execPath, standIn], image_builder: { program: [tool], distro: "centos-9" },
    architectures: { x86_64: { archive: { export: "archive", format: "tar", image_builder_type: "qcow2" } } }
  })], join(folder, "cache"))
  const run = (wanted: Manifest["customizations"], lines: Array<string> = []) =>
    made.build(manifestOf("osbuild", { ...of("centos-9"), customizations: wanted }, undefined), new Map([["users.ann.password", password]]), mkdtempSync(join(folder, "job-")), {
      line: (text) => void lines.push(text), progress: () => {}
    })

  it.live("given customizations, then they reach the tool as a blueprint, and a password as its hash", () =>
    Effect.gen(function*() {
      const lines: Array<string> = []
      const file = yield* run(customizations, lines)
      const said = readFileSync(file.path, "utf8").split("\n")[1]!
      const blueprint = JSON.parse(Buffer.from(said, "base64").toString())
      assert.deepStrictEqual(blueprint.packages, [{ name: "jq" }, { name: "tree", version: "2.1" }])
      const { user: [{ password: hash, ...user }], ...rest } = blueprint.customizations
      assert.match(hash, /^\$6\$/)
      assert.deepStrictEqual(user, { name: "ann", key: "ssh-ed25519 AAAA a\nssh-ed25519 BBBB b", groups: ["wheel"] })
      assert.deepStrictEqual(rest, {
        hostname: "box", timezone: { timezone: "UTC" }, locale: { languages: ["de_DE.UTF-8"], keyboard: "de-nodeadkeys" }, services: { enabled: ["sshd"] }
      })
      assert.notInclude(lines.join("\n"), password)
    }))

  it.live("given a package that nobody has, or a customization that a blueprint cannot say, then it is the user's to change", () =>
    Effect.gen(function*() {
      const [gone, odd] = yield* Effect.all([Effect.flip(run({ packages: ["gone"] })), Effect.flip(run({ first_boot: { script: "true" } }))])
      assert.deepStrictEqual([gone.class, gone.message], ["user", "customizations.packages: one of the packages cannot be had"])
      assert.match(gone.excerpt!, /missing packages: gone/)
      assert.deepStrictEqual([odd.class, odd.message], ["user", "customizations.first_boot: not possible for centos-9"])
    }))

  it("makes no hash of a secret that did not come", () => {
    const { customizations: { user } } = blueprintOf({ ...manifestOf("osbuild", { ...of("x"), customizations }, undefined) }, new Map()) as unknown as
      { customizations: { user: ReadonlyArray<{ password: string }> } }
    assert.match(user[0]!.password, /^\$6\$|^!$/)
  })
})
