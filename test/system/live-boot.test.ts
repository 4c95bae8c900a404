/**
 * What runs from memory, booted as its users do: live-iso as a CD and as a disk, network-boot by iPXE from a web server, both in BIOS and UEFI.
 * Minutes of emulation, so only with `KILN_TEST_LIVE_BOOTS=1`.
 */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { createReadStream, statSync } from "node:fs"
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises"
import { createServer } from "node:http"
import type { AddressInfo } from "node:net"
import { tmpdir } from "node:os"
import { basename, join } from "node:path"
import { Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { judge, looksOf } from "../../domain/boot-checks.ts"
import type { Firmware } from "../../domain/boot-test.ts"
import { buildImpossible, built, typedSpec } from "../infra/debian/real.ts"
import { booted, bootImpossible, type Machine } from "../support/boot.ts"
import { needs, skipWhere } from "../support/needs.ts"

const why = async () => {
  if (process.env["KILN_TEST_LIVE_BOOTS"] !== "1") return "boots of what runs from memory take minutes: KILN_TEST_LIVE_BOOTS=1 asks for them"
  return bootImpossible("bios") ?? bootImpossible("uefi") ?? await buildImpossible()
}
const impossible = await why()
const firmwares: ReadonlyArray<Firmware> = ["bios", "uefi"]
const asked = { hostname: "live", packages: ["tree"], users: [{ name: "ann" }], files: [{ path: "/srv/kept", data: "kept\n" }] }

/** The files of a folder; tells what was fetched. */
const webServer = async (folder: string) => {
  const fetched = new Set<string>()
  const server = createServer(({ url = "" }, response) => {
    const name = basename(url)
    fetched.add(name)
    response.setHeader("content-length", statSync(join(folder, name)).size)
    createReadStream(join(folder, name)).pipe(response)
  })
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve))
  return { fetched, port: (server.address() as AddressInfo).port, close: () => server.closeAllConnections() ?? server.close() }
}

/** All of it runs, from a root in memory, and is what was asked for. */
const isAsAsked = async ({ console, facts }: Machine) => {
  expect(console()).toContain("KILN-READY live ")
  const found = await facts({ ...looksOf(asked), script: "findmnt -n -o FSTYPE /; tree --version >/dev/null && touch /srv/kept" })
  const sha256 = (data: string, encoding: "utf8" | "base64") => createHash("sha256").update(data, encoding).digest("hex")
  expect(judge(asked, { ports: ["22:tcp"] }, found, sha256).filter(({ passed }) => !passed)).toEqual([])
  expect(found.script).toEqual({ exit: 0, output: "overlay" })
}

describe("what runs from memory", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  needs("mksquashfs", "xorriso")

  let dir = ""
  const images = new Map<string, string>()
  beforeAll(async () => {
    if (impossible !== undefined) return
    dir = await mkdtemp(join(tmpdir(), "kiln-live-"))
    for (const type of ["live-iso", "network-boot"]) {
      await mkdir(join(dir, type))
      images.set(type, Result.getOrThrow(await built(typedSpec(type, asked), join(dir, type))).path)
    }
  }, 600_000)
  afterAll(async () => {
    if (dir !== "") await rm(dir, { recursive: true, force: true })
  })

  it.each(firmwares)("live-iso boots in %s from a CD", (firmware) =>
    booted({ image: images.get("live-iso")!, format: "iso", firmware }, isAsAsked), 900_000)

  it.each(firmwares)("live-iso boots in %s from a stick", (firmware) =>
    booted({ image: images.get("live-iso")!, format: "raw", firmware }, isAsAsked), 900_000)

  it.each(firmwares)("network-boot boots in %s by its script for iPXE, from a web server", async (firmware) => {
    const folder = join(dir, `web-${firmware}`)
    await mkdir(folder)
    execFileSync("tar", ["-xf", images.get("network-boot")!, "-C", folder])
    const { close, fetched, port } = await webServer(folder)
    const base = `http://10.0.2.2:${port}/`
    // QEMU's iPXE may be one that does not know where a script is from.
    await writeFile(join(folder, "start.ipxe"), `#!ipxe\nset base ${base}\nchain boot.ipxe\n`)
    try {
      await booted({ script: `${base}start.ipxe`, firmware }, isAsAsked)
      expect([...fetched]).toEqual(["start.ipxe", "boot.ipxe", "vmlinuz", "initrd.img", "root.squashfs"])
    } finally {
      close()
    }
  }, 900_000)
})
