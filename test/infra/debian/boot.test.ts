import { execFileSync } from "node:child_process"
import { mkdtemp, readFile, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { booted, bootImpossible } from "../../support/boot.ts"
import { buildImpossible, built, specOf } from "./real.ts"

const impossible = bootImpossible("uefi") ?? (await buildImpossible())
if (impossible) console.warn(`skipping the boot tests: ${impossible}`)

let dir = ""
let image = ""

describe.skipIf(impossible)("a built image", () => {
  const keyFile = () => join(dir, "key")

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), "kiln-boot-test-"))
    execFileSync("ssh-keygen", ["-q", "-t", "ed25519", "-N", "", "-C", "test", "-f", keyFile()])
    const key = (await readFile(`${keyFile()}.pub`, "utf8")).trim()
    image = Result.getOrThrow(
      await built(
        specOf({
          hostname: "box",
          timezone: "Europe/Berlin",
          packages: ["tree"],
          users: [{ name: "ann", keys: [key], groups: ["adm"], sudo: true }],
          files: [
            {
              path: "/etc/systemd/system/hello.service",
              data: "[Service]\nType=oneshot\nRemainAfterExit=yes\nExecStart=/bin/true\n[Install]\nWantedBy=multi-user.target\n"
            }
          ],
          services: { enabled: ["hello"], masked: ["systemd-timesyncd"] }
        }),
        dir
      )
    ).path
  }, 180_000)
  afterAll(() => rm(dir, { recursive: true, force: true }))

  it(
    "boots in BIOS, lets its user in, and is what was asked for",
    () =>
      booted({ image, firmware: "bios", diskBytes: 3 * 2 ** 30 }, async ({ console, ssh }) => {
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
      }),
    400_000
  )

  it(
    "boots in UEFI, with host keys of its own",
    () =>
      booted({ image, firmware: "uefi" }, async ({ console, ssh }) => {
        expect(console()).toContain("KILN-READY box ")
        expect(await ssh("ann", keyFile(), "test -d /sys/firmware/efi && ls /etc/ssh")).toContain(
          "ssh_host_ed25519_key.pub"
        )
      }),
    400_000
  )
})
