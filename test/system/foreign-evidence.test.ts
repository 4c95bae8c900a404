/** Evidence of images of other builders on its whole way: made where they are built, downloaded, and checked with nobody to ask. */
import { spawnSync } from "node:child_process"
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Schedule, Scope } from "effect"
import { afterAll, assert, beforeAll, describe, it } from "vitest"
import { startStack } from "../../apps/standalone/stack.ts"
import { kilnProcess } from "../apps/operator/kiln-command.ts"
import { cyclonedxFaults, spdxFaults } from "../support/bill-schemas.ts"
import { needs, skipWhere } from "../support/needs.ts"
import { tinyElement } from "../support/tiny-element.ts"

const isPossible = process.geteuid?.() === 0 && spawnSync("losetup", ["--find"]).status === 0 && spawnSync("disk-image-create", ["--version"]).status === 0
const folder = mkdtempSync(join(tmpdir(), "kiln-foreign-"))
const at = (name: string) => join(folder, name)
const example = join(import.meta.dirname, "../../infra/command-builder/example/make-tree.mjs")

const builders = {
  distributions: [
    { distribution: "example-1", builder: "command", program: [process.execPath, example], architectures: { x86_64: { tree: {} } } },
    {
      distribution: "silent-1", builder: "command", architectures: { x86_64: { tree: {} } },
      program: ["bash", "-c", "echo x >a; echo '{\"artifact\": {\"path\": \"a\", \"format\": \"raw\", \"filename\": \"silent.raw\", \"media_type\": \"application/octet-stream\"}}'"]
    },
    {
      distribution: "tiny-1", builder: "diskimage-builder", program: ["disk-image-create", "-n"], elements: ["kiln-tiny"], elements_path: [at("elements")], env: { DIB_IMAGE_SIZE: "1" },
      architectures: { x86_64: { tree: { format: "tar" } } }
    }
  ]
}
/** What a Debian would have there. */
const tree = `mkdir -p "$TARGET_ROOT"/var/lib/dpkg "$TARGET_ROOT"/usr/lib "$TARGET_ROOT"/usr/share/doc/less
printf '%s\\n' 'Package: less' 'Status: install ok installed' 'Architecture: amd64' 'Version: 668-1' >"$TARGET_ROOT"/var/lib/dpkg/status
printf '%s\\n' ID=debian 'VERSION_ID="13"' >"$TARGET_ROOT"/usr/lib/os-release
printf '%s\\n' 'Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/' 'License: GPL-3+' >"$TARGET_ROOT"/usr/share/doc/less/copyright
`

describe("evidence of images of other builders", () => {
  needs("disk-image-create", "sudo", "losetup", "perl")
  skipWhere(!isPossible, "diskimage-builder works as root with loop devices only")
  const built = new Map<string, string>()

  beforeAll(async () => {
    if (!isPossible) return
    tinyElement(folder, tree)
    writeFileSync(at("builders.json"), JSON.stringify(builders))
    const scope = Scope.makeUnsafe()
    const stack = await Effect.runPromise(Scope.provide(scope)(startStack({ home: at("home"), durable: false, env: { KILN_BUILDERS_FILE: at("builders.json") } })))
    const token = await Effect.runPromise(stack.token("acme", "requester"))
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
    const api = async (path: string, init: RequestInit = {}) => {
      const answer = await fetch(`${stack.url}/api/kiln/v1${path}`, { ...init, headers })
      assert.isTrue(answer.ok, `${path}: ${answer.status}`)
      return answer
    }
    const make = async (distribution: string) => {
      const images = [{ architecture: "x86_64", type: "tree", targets: [{ type: "file" }] }]
      const { id } = await (await api("/composes", { method: "POST", body: JSON.stringify({ distribution, images }) })).json() as { id: string }
      const ended = await Effect.runPromise(Effect.promise(async () => await (await api(`/composes/${id}`)).json() as { status: string }).pipe(
        Effect.repeat({ until: ({ status }) => !["pending", "running"].includes(status), schedule: Schedule.spaced("250 millis") })))
      assert.strictEqual(ended.status, "succeeded", JSON.stringify(ended))
      const { code, err, out } = await kilnProcess(["download", id, "--output", folder, "--evidence", "--json"], { KILN_URL: stack.url, KILN_TOKEN: token })
      assert.strictEqual(code, 0, err)
      built.set(distribution, (JSON.parse(out) as { files: ReadonlyArray<{ path: string }> }).files[0]!.path)
    }
    for (const { distribution } of builders.distributions) await make(distribution)
    writeFileSync(at("key.pem"), await (await api("/keys/provenance.pem")).text())
    // From here on there is nobody to ask.
    await Effect.runPromise(Scope.close(scope, Exit.void))
  }, 300_000)
  afterAll(() => rmSync(folder, { recursive: true, force: true, maxRetries: 5 }))

  const verify = async (path: string) => {
    const { code, out } = await kilnProcess(["verify-image", path, "--key", at("key.pem"), "--json"], {})
    return { code, checks: (JSON.parse(out) as { checks: ReadonlyArray<{ aspect: string; right: boolean; message: string }> }).checks }
  }
  const wrongIn = async (path: string) => (await verify(path)).checks.filter(({ right }) => !right).map(({ message }) => message).join("\n")

  it.each([
    ["example-1", "pkg:generic/example.org/greeting@1.0?arch=all&upstream=example", "MIT OR LicenseRef-example"],
    ["tiny-1", "pkg:deb/debian/less@668-1?arch=amd64&distro=debian-13", "GPL-3.0-or-later"]
  ])("of %s is a bill of its packages, which holds with the file; a changed bill or file is found", async (distribution, purl, license) => {
    const path = built.get(distribution)!
    const [spdx, cyclonedx] = [".spdx.json", ".cdx.json"].map((suffix) => readFileSync(`${path}${suffix}`, "utf8")) as [string, string]
    const { components } = JSON.parse(cyclonedx) as { components: ReadonlyArray<{ purl: string; licenses: ReadonlyArray<{ expression: string }> }> }
    assert.deepStrictEqual(components.map((item) => [item.purl, item.licenses[0]?.expression]), [[purl, license]])
    assert.deepStrictEqual([await cyclonedxFaults(JSON.parse(cyclonedx)), spdxFaults(JSON.parse(spdx))], [null, []])
    const { checks, code } = await verify(path)
    assert.deepStrictEqual([code, checks.map(({ aspect }) => aspect)], [0, ["signature", "statement", "subject", "sbom", "sbom"]])
    writeFileSync(`${path}.spdx.json`, spdx.replace("668-1", "669-1").replace("\"1.0\"", "\"1.1\""))
    assert.match(await wrongIn(path), /\.spdx\.json is not one of the image's bills of materials/)
    writeFileSync(`${path}.spdx.json`, spdx)
    writeFileSync(path, "another image")
    assert.match(await wrongIn(path), /^The file is not what the statement is about/)
  })

  it("of a program that lists no packages is a signed word that there is no bill, and why", async () => {
    const path = built.get("silent-1")!
    assert.isFalse(existsSync(`${path}.spdx.json`))
    const { code, out } = await kilnProcess(["verify-image", path, "--key", at("key.pem")], {})
    assert.strictEqual(code, 0)
    assert.match(out, /has no bill of materials: +the program that made it has listed no packages/)
  })
})
