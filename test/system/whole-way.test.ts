/** One image on the whole way: asked for over HTTP, built, downloaded in parts, and booted in UEFI as asked for. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { appendFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Schedule, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Stack, startStack } from "../../apps/standalone/stack.ts"
import { kilnProcess } from "../apps/operator/kiln-command.ts"
import { buildImpossible, warmCache } from "../infra/debian/real.ts"
import { bootImpossible } from "../support/boot.ts"
import { skipWhere } from "../support/needs.ts"

const impossible = bootImpossible("uefi") ?? (await buildImpossible())

interface Artifact {
  readonly url: string
  readonly size: number
  readonly digest: string
  readonly filename: string
}

interface Tested {
  readonly status: string
  readonly verdict: string
  readonly boots: ReadonlyArray<{
    readonly firmware: string; readonly ready_seconds?: number; readonly checks: ReadonlyArray<{ readonly name: string; readonly message?: string }>; readonly console: string; readonly screenshot?: string
  }>
}

/** What the boot test cannot know by itself. */
const checks = `set -eu
test -d /sys/firmware/efi
test "$(date +%Z)" = JST
locale -a | grep -q de_DE.utf8
test "$(stat -c '%a %U %G' /etc/kiln/asked.txt)" = "640 ann sudo"
test "$(cat /etc/kiln/asked.txt)" = "as asked"
grep -q '^ann:\\$6\\$' /etc/shadow
test "$(su ann -c 'sudo -n id -u')" = 0
test -s /etc/ssh/ssh_host_ed25519_key.pub
test "$(wc -c < /opt/stored) $(head -c 6 /opt/stored)" = "600000 stored"
dpkg-query -W | wc -l
`

describe("an image on its whole way", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  const scope = Scope.makeUnsafe()
  let dir = ""
  let stack: Stack
  let token = ""
  let id = ""
  let installed = 0
  let stored = ""

  const api = async (path: string, init: RequestInit = {}) => {
    const headers = { authorization: `Bearer ${token}`, "content-type": "application/json" }
    const answer = await fetch(`${stack.url}/api/kiln/v1${path}`, { ...init, headers })
    if (!answer.ok) throw new Error(`${path}: ${answer.status} ${await answer.text()}`)
    return answer
  }
  const shown = async () => (await (await api(`/composes/${id}`)).json()) as { status: string; failure?: unknown }
  const artifact = async (of = id) =>
    ((await (await api(`/composes/${of}/artifacts`)).json()) as ReadonlyArray<Artifact>)[0]!
  const ended = () =>
    Effect.runPromise(Effect.promise(shown).pipe(
      Effect.repeat({
        until: ({ status }) => !["pending", "running"].includes(status),
        schedule: Schedule.spaced("250 millis")
      }),
      Effect.timeout("12 minutes")
    ))
  const post = async (hostname: string, test: unknown = false) => {
    const key = readFileSync(join(dir, "key.pub"), "utf8").trim()
    const answer = await api("/composes", {
      method: "POST",
      body: JSON.stringify({
        distribution: "debian-13", name: "whole way",
        images: [{ architecture: "x86_64", type: "guest-image", targets: [{ type: "file" }], test }],
        customizations: {
          hostname, timezone: "Asia/Tokyo", locale: "de_DE.UTF-8", packages: ["tree"],
          users: [{ name: "ann", keys: [key], password: "correct horse", groups: ["sudo"], sudo: true }],
          files: [{ path: "/etc/kiln/asked.txt", data: "as asked\n", mode: "0640", user: "ann", group: "sudo" }, { path: "/opt/stored", digest: stored }],
          services: { disabled: ["systemd-timesyncd"] }
        }
      })
    })
    expect(answer.status).toBe(202)
    id = ((await answer.json()) as { id: string }).id
  }

  beforeAll(async () => {
    if (impossible !== undefined) return
    dir = mkdtempSync(join(tmpdir(), "kiln-whole-way-"))
    // Builds from nothing are for debian-build.test.ts and first-image.test.ts.
    await warmCache(join(dir, "home"))
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", join(dir, "key")])
    stack = await Effect.runPromise(Scope.provide(scope)(startStack({ home: join(dir, "home"), durable: false })))
    token = await Effect.runPromise(stack.token("acme", "requester"))
    stored = ((await (await api("/files", { method: "POST", body: Buffer.alloc(600_000, "stored") as never })).json()) as { digest: string }).digest
  })
  afterAll(async () => {
    if (dir === "") return
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  it("is built from a request over HTTP, and booted", async () => {
    await post("whole-way", { firmware: ["uefi"], script: checks, ports: ["22:tcp"], timeout_seconds: 600 })
    const done = await ended()
    expect(done, JSON.stringify(done.failure)).toMatchObject({ status: "succeeded" })
    const log = await (await api(`/composes/${id}/logs`)).text()
    expect(log.length).toBeGreaterThan(1000)
  }, 720_000)

  it("is downloaded in parts, by a link that needs no token", async () => {
    const { digest, size, url } = await artifact()
    const half = Math.floor(size / 2)
    const part = async (range: string) => {
      const answer = await fetch(url, { headers: { range } })
      expect(answer.status).toBe(206)
      return Buffer.from(await answer.arrayBuffer())
    }
    const bytes = Buffer.concat([await part(`bytes=0-${half - 1}`), await part(`bytes=${half}-`)])
    expect(`sha256:${createHash("sha256").update(bytes).digest("hex")}`).toBe(digest)
    writeFileSync(join(dir, "image.qcow2"), bytes)
  })

  it("comes with evidence that holds without Kiln: what is in it, and where it is from", async () => {
    // The connection of the download may have been closed while its bytes were written: let that be heard.
    await new Promise(setImmediate)
    const fetched = async (path: string, name: string) => {
      const answer = await (await api(path)).text()
      writeFileSync(join(dir, name), answer)
      return answer
    }
    const at = `/composes/${id}/images/0`
    await fetched(`${at}/provenance.dsse.json`, "image.qcow2.provenance.json")
    const spdx = JSON.parse(await fetched(`${at}/sbom.spdx.json`, "image.qcow2.spdx.json")) as { packages: ReadonlyArray<Record<string, any>> }
    await fetched(`${at}/sbom.cdx.json`, "image.qcow2.cdx.json")
    await fetched("/keys/provenance.pem", "provenance.pub.pem")
    const said = await kilnProcess(["verify-image", join(dir, "image.qcow2"), "--key", join(dir, "provenance.pub.pem"), "--json"], { KILN_URL: "http://127.0.0.1:1" })
    expect(JSON.parse(said.out)).toMatchObject({ verified: true, checks: [{ aspect: "signature" }, { aspect: "statement" }, { aspect: "subject" }, { aspect: "sbom" }, { aspect: "sbom" }] })

    const [image, ...packages] = spdx.packages
    installed = packages.length
    expect(image!["checksums"][0].checksumValue).toBe((await artifact()).digest.replace("sha256:", ""))
    const tree = packages.find(({ name }) => name === "tree")
    expect(tree).toMatchObject({ licenseDeclared: expect.stringContaining("GPL-2.0-or-later"), downloadLocation: expect.stringMatching(/^http.*\/tree_.*\.deb$/), checksums: [{ algorithm: "SHA256" }] })
    expect(packages.filter(({ checksums }) => checksums === undefined)).toEqual([])
    expect(packages.filter(({ licenseDeclared }) => licenseDeclared !== "NOASSERTION").length).toBeGreaterThan(0.8 * installed)

    appendFileSync(join(dir, "image.qcow2.spdx.json"), "\n")
    const wrong = await kilnProcess(["verify-image", join(dir, "image.qcow2"), "--key", join(dir, "provenance.pub.pem")], {})
    expect([wrong.code, wrong.out]).toEqual([1, expect.stringContaining("is not one of the image's bills of materials")])
  })

  it("was booted in UEFI by its worker before the compose was done, and is what was asked for, with host keys of its own", async () => {
    const { images: [image], jobs } = (await shown()) as unknown as { images: ReadonlyArray<{ test: Tested }>; jobs: ReadonlyArray<{ id: string; status: string }> }
    expect(jobs.map(({ id, status }) => `${id} ${status}`)).toEqual(["0-resolve succeeded", "0-build succeeded", "0-test succeeded", "0-upload-0 succeeded"])
    const { boots: [boot], status, verdict } = image!.test
    expect([status, verdict, boot!.firmware, boot!.ready_seconds! > 0]).toEqual(["succeeded", "passed", "uefi", true])
    expect(boot!.checks.map(({ name }) => name)).toEqual(expect.arrayContaining([
      "ready", "systemd", "hostname", "timezone", "locale", "package tree", "user ann", "service systemd-timesyncd", "file /etc/kiln/asked.txt", "port 22:tcp", "script"
    ]))
    // As many packages as its bills of materials say.
    expect(boot!.checks.find(({ name }) => name === "script")!.message).toBe(String(installed))
    const fetched = (path: string) => api(path.replace("/api/kiln/v1", ""))
    expect(await (await fetched(boot!.console)).text()).toContain("KILN-READY whole-way ")
    const screen = Buffer.from(await (await fetched(boot!.screenshot!)).arrayBuffer())
    expect(screen.subarray(1, 4).toString()).toBe("PNG")
    const log = await (await api(`/composes/${id}/logs?job=0-test`)).text()
    expect(log).toMatch(/uefi: ready after [0-9.]+ s, \d+ checks, passed/)
  })

  it("comes from the cache when only its host name differs, and at once when nothing does", async () => {
    await post("another-name")
    expect(await ended()).toMatchObject({ status: "succeeded" })
    const before = id
    await post("another-name")
    expect(await ended()).toMatchObject({ status: "succeeded" })
    expect((await artifact()).digest).toBe((await artifact(before)).digest)
    expect(await (await api(`/composes/${id}/logs?job=0-build`)).text()).toContain("was built before")
  })

  it("comes out as the same bytes when it is built again to verify it, from the same packages and the same sealed password", async () => {
    const { code, out } = await kilnProcess(["verify-build", id, "--json"], { KILN_URL: stack.url, KILN_TOKEN: token })
    const { jobs, verifies } = JSON.parse(out) as { jobs: ReadonlyArray<{ id: string }>; verifies: Record<string, unknown> }
    expect([code, verifies["verdict"], verifies["compose"], jobs.map(({ id }) => id)]).toEqual([0, "identical", id, ["0-build"]])
    expect((verifies["made"] as Artifact).digest).toBe((await artifact()).digest)
  })
})
