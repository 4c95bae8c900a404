/**
 * A real image of aarch64 on a PC, its packages' scripts run by an emulator that the kernel knows of: here in a user
 * namespace with a binfmt_misc of its own (Linux 6.7), so that nothing of the machine is changed. Minutes, so only with `KILN_TEST_ARM_BUILD=1`.
 */
import { execFile, execFileSync } from "node:child_process"
import { existsSync } from "node:fs"
import { mkdtemp, rm } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { promisify } from "node:util"
import { describe, expect, it } from "vitest"
import { buildImpossible } from "../infra/debian/real.ts"
import { skipWhere } from "../support/needs.ts"

const runFile = promisify(execFile)
const root = join(import.meta.dirname, "../..")
const emulator = "/usr/bin/qemu-aarch64-static"

/** Programs of 64 bits for that processor, whatever else their first bytes say; the emulator is opened now, for trees that do not have it. */
const magic = String.raw`:qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:${emulator}:OCF`
const known = `mount -t binfmt_misc kiln /proc/sys/fs/binfmt_misc && printf %s '${magic}' >/proc/sys/fs/binfmt_misc/register && exec "$@"`
const inNamespace = (...argv: ReadonlyArray<string>): [string, Array<string>] =>
  ["perl", [`-I${join(root, "infra/sandbox")}`, "-MKernel", "-e", "into_with_ids(undef, 'mount'); exec @ARGV", "sh", "-c", known, "sh", ...argv]]

const why = async (): Promise<string | undefined> => {
  if (process.env["KILN_TEST_ARM_BUILD"] !== "1") return "building for aarch64 by emulation takes minutes: KILN_TEST_ARM_BUILD=1 asks for it"
  if (process.arch !== "x64") return "this machine is no PC"
  if (process.getuid?.() !== 0) return "only root has ids enough to give on"
  if (!existsSync(emulator)) return "install qemu-user-static"
  try {
    execFileSync(...inNamespace("true"), { stdio: "pipe" })
  } catch (error) {
    return `no binfmt_misc in a user namespace: ${String((error as { stderr: Buffer }).stderr).trim()}`
  }
  return buildImpossible()
}
const impossible = await why()

describe("an image of aarch64, built on a PC", () => {
  skipWhere(impossible !== undefined, impossible ?? "")

  it("is made of programs of that architecture, without the emulator in it", async () => {
    const dir = await mkdtemp(join(tmpdir(), "kiln-arm-"))
    try {
      const { stdout } = await runFile(...inNamespace(process.execPath, join(root, "test/support/build-arm.ts"), dir), { cwd: root, maxBuffer: 1 << 24 })
      const { path } = JSON.parse(stdout.trim().split("\n").at(-1)!) as { path: string }
      expect(path, stdout).toBeDefined()
      const { stdout: index } = await runFile("tar", ["-xOf", path, "index.json"])
      expect(index).toContain("\"architecture\":\"arm64\"")
      const { stdout: looked } = await runFile("bash", ["-c", `
        set -e -o pipefail
        mkdir "$1/blobs" && tar -xf "$0" -C "$1/blobs"
        layer=$(find "$1/blobs" -type f -size +1M)
        tar -xOf "$layer" --wildcards '*usr/bin/dpkg' >"$1/dpkg" && od -An -tx1 -j 18 -N 2 "$1/dpkg"
        tar -tf "$layer" | grep -c qemu || true`, path, dir])
      expect(looked.split("\n").map((line) => line.trim())).toEqual(["b7 00", "0", ""])
    } finally {
      await rm(dir, { recursive: true, force: true })
    }
  }, 1_800_000)
})
