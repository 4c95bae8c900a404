/** A built image in BIOS, on a disk larger than itself; whole-way.test.ts boots one in UEFI. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { rootCertificates } from "node:tls"
import { Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { judge, looksOf } from "../../domain/boot-checks.ts"
import type { SealedCustomizations } from "../../domain/customizations.ts"
import { buildImpossible, built, specOf } from "../infra/debian/real.ts"
import { booted, bootImpossible } from "../support/boot.ts"
import { skipWhere } from "../support/needs.ts"

const impossible = bootImpossible("bios") ?? (await buildImpossible())

const hello = `[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/bin/true
[Install]
WantedBy=multi-user.target
`

const certificate = rootCertificates[0]!
const asked = {
  hostname: "box",
  timezone: "Europe/Berlin",
  packages: ["tree"],
  files: [
    { path: "/etc/systemd/system/hello.service", data: hello },
    { path: "/srv/secret", data: "aGkK", data_encoding: "base64" as const, mode: "0640", user: "ann", group: "adm" }
  ],
  directories: [{ path: "/srv/data", mode: "2775", user: 1000, group: 4 }],
  keyboard: { layout: "de" },
  cacerts: { pem_certs: [certificate] },
  ntp_servers: ["ntp.example.org"],
  firewall: { ports: ["22:tcp", "6000-6010:udp"] },
  proxy: { https: "http://proxy.example.org:3128", no_proxy: [".example.org"] },
  services: { enabled: ["hello"], masked: ["systemd-timesyncd"] }
}
const ann = { name: "ann", groups: ["adm"], sudo: true }

let dir = ""
let image = ""
let key = ""

describe("a built image", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  const keyFile = () => join(dir, "key")

  beforeAll(async () => {
    if (impossible !== undefined) return
    dir = await mkdtemp(join(tmpdir(), "kiln-boot-test-"))
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", keyFile()])
    key = (await readFile(`${keyFile()}.pub`, "utf8")).trim()
    image = Result.getOrThrow(
      await built(
        specOf({ ...asked, users: [{ ...ann, keys: [key] }] }),
        dir
      )
    ).path
  })
  afterAll(async () => {
    if (dir !== "") await rm(dir, { recursive: true, force: true })
  })

  it(
    "boots in BIOS, lets its user in, and is what was asked for",
    () =>
      booted({ image, firmware: "bios", diskBytes: 3 * 2 ** 30 }, async ({ console, facts, ssh }) => {
        expect(console()).toContain("KILN-READY box ")
        const said = await ssh(
          "ann",
          keyFile(),
          [
            "hostname",
            "id -Gn",
            "date +%Z",
            "sudo -n id -u",
            "systemctl is-active hello ssh systemd-networkd",
            "systemctl is-enabled systemd-timesyncd",
            "tree --version",
            "systemctl --failed --no-legend",
            "df --output=size -BM / | tail -n 1",
            "cat /etc/machine-id",
            "findmnt -n -o FSTYPE /boot/efi"
          ].join("; ")
        )
        const lines = said
          .trim()
          .split("\n")
          .map((line) => line.trim())
        expect(lines.slice(0, 8)).toEqual([
          "box",
          "ann adm",
          expect.stringMatching(/^CES?T$/),
          "0",
          "active",
          "active",
          "active",
          "masked"
        ])
        expect(lines[8]).toMatch(/^tree v/)
        // Grown from the 2 GiB of the image to the 3 GiB of this disk; nothing failed on the way.
        expect(Number.parseInt(lines[9]!, 10)).toBeGreaterThan(2800)
        expect(lines[10]).toMatch(/^[0-9a-f]{32}$/)
        expect(lines[11]).toBe("vfat")

        // The same by the agent that boot tests ask, and what it would say of something else.
        const wanted = { ...asked, users: [{ ...ann, keys: [key] }] }
        const found = await facts({ ...looksOf(wanted), script: "#!/bin/bash\necho \"in ${BASH##*/}\"\nexit 7\n" })
        const wrong = (customizations: SealedCustomizations, ports = ["22:tcp"]) =>
          judge(customizations, { ports }, found, (data, encoding) => createHash("sha256").update(data, encoding).digest("hex")).flatMap(({ name, passed }) => passed ? [] : [name])
        expect(wrong(wanted)).toEqual([])
        const other = {
          ...wanted, hostname: "other", packages: ["nginx"], users: [{ ...ann, groups: ["video"], keys: [key, "ssh-ed25519 AAAA"] }, { ...ann, name: "root", keys: [key] }],
          services: { enabled: ["systemd-timesyncd", "nothing"], masked: ["hello"] },
          files: [{ ...asked.files[0]!, data: "hello" }, { ...asked.files[1]!, mode: "0644", user: "root" }],
          keyboard: { layout: "us" }, cacerts: { pem_certs: [certificate.replaceAll("a", "b")] }, ntp_servers: ["other.example.org"],
          firewall: { ports: ["23:tcp"] }, proxy: { http: "http://proxy.example.org:3128" }
        }
        expect(wrong(other, ["81:tcp"])).toEqual([
          "hostname", "package nginx", "user ann", "user root", "service systemd-timesyncd", "service nothing", "service hello",
          "file /etc/systemd/system/hello.service", "file /srv/secret", "keys of ann", "keys of root", "sudo of root", "keyboard", "certificate 1", "time servers",
          "firewall 23:tcp", "http_proxy", "port 81:tcp"
        ])
        expect(found.script).toEqual({ exit: 7, output: "in bash" })
      }),
    900_000
  )
})
