/** One image on the whole way: asked for over HTTP, built, downloaded in parts, and booted in UEFI as asked for. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Exit, Schedule, Scope } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { type Stack, startStack } from "../../apps/standalone/stack.ts"
import { buildImpossible } from "../infra/debian/real.ts"
import { booted, bootImpossible } from "../support/boot.ts"
import { skipWhere } from "../support/needs.ts"

const impossible = bootImpossible("uefi") ?? (await buildImpossible())

interface Artifact {
  readonly url: string
  readonly size: number
  readonly digest: string
  readonly filename: string
}

describe("an image on its whole way", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  const scope = Scope.makeUnsafe()
  let dir = ""
  let stack: Stack
  let token = ""
  let id = ""

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
      Effect.timeout("4 minutes")
    ))
  const post = async (hostname: string) => {
    const key = readFileSync(join(dir, "key.pub"), "utf8").trim()
    const answer = await api("/composes", {
      method: "POST",
      body: JSON.stringify({
        distribution: "debian-13", name: "whole way",
        images: [{ architecture: "x86_64", type: "guest-image", targets: [{ type: "file" }] }],
        customizations: {
          hostname, timezone: "Asia/Tokyo", locale: "de_DE.UTF-8", packages: ["tree"],
          users: [{ name: "ann", keys: [key], password: "correct horse", groups: ["sudo"], sudo: true }],
          files: [{ path: "/etc/kiln/asked.txt", data: "as asked\n", mode: "0640", user: "ann", group: "sudo" }],
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
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", join(dir, "key")])
    stack = await Effect.runPromise(Scope.provide(scope)(startStack({ home: join(dir, "home"), durable: false })))
    token = await Effect.runPromise(stack.token("acme", "requester"))
  }, 60_000)
  afterAll(async () => {
    if (dir === "") return
    await Effect.runPromise(Scope.close(scope, Exit.void))
    rmSync(dir, { recursive: true, force: true, maxRetries: 5 })
  })

  it("is built from a request over HTTP", async () => {
    await post("whole-way")
    expect(await ended()).toMatchObject({ status: "succeeded" })
    const log = await (await api(`/composes/${id}/logs`)).text()
    expect(log.length).toBeGreaterThan(1000)
  })

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

  it("boots and shows what was asked for, with host keys of its own", () =>
    booted({ image: join(dir, "image.qcow2"), firmware: "uefi" }, async ({ console, ssh }) => {
      expect(console()).toContain("KILN-READY whole-way ")
      const expected = {
        "test -d /sys/firmware/efi && echo UEFI": "UEFI",
        "hostname": "whole-way",
        "date +%Z": "JST",
        ". /etc/default/locale; echo $LANG": "de_DE.UTF-8",
        "locale -a | grep -c de_DE.utf8": "1",
        "stat -c '%a %U %G' /etc/kiln/asked.txt": "640 ann sudo",
        "cat /etc/kiln/asked.txt": "as asked",
        "systemctl is-enabled systemd-timesyncd": "disabled",
        "tree --version | cut -d' ' -f1": "tree",
        "sudo -n grep -c '^ann:\\$6\\$' /etc/shadow": "1",
        "sudo -n id -u": "0",
        "ls /etc/ssh | grep ssh_host_ed25519_key.pub": "ssh_host_ed25519_key.pub"
      }
      const said = await ssh("ann", join(dir, "key"), Object.keys(expected).join("; "))
      expect(said.trim().split("\n").map((line) => line.trim())).toEqual(Object.values(expected))
    }), 300_000)

  it("comes from the cache when only its host name differs, and at once when nothing does", async () => {
    await post("another-name")
    expect(await ended()).toMatchObject({ status: "succeeded" })
    const before = id
    await post("another-name")
    expect(await ended()).toMatchObject({ status: "succeeded" })
    expect((await artifact()).digest).toBe((await artifact(before)).digest)
    expect(await (await api(`/composes/${id}/logs?job=0-build`)).text()).toContain("was built before")
  })
})
