/** The emulator itself, on disks that need a moment. What a whole system says is in test/system/debian-boot.test.ts. */
import { execFileSync } from "node:child_process"
import { existsSync, mkdtempSync, readdirSync, readlinkSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { Report } from "../../../domain/ports/image-builder.ts"
import { AttemptMeter, Meter } from "../../../domain/ports/meter.ts"
import { type BootOrder, ImageTests } from "../../../domain/ports/image-tests.ts"
import { ImageTestsQemu } from "../../../infra/qemu/image-tests-qemu.ts"
import { missingFor } from "../../../infra/qemu/firmware.ts"
import { sectorSaying } from "../../support/boot-sector.ts"
import { skipWhere } from "../../support/needs.ts"

const impossible = missingFor("x86_64", "uefi")
let dir = ""
const workspace = () => join(dir, "workspace")
beforeAll(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln, qemu-"))
})
afterAll(() => rmSync(dir, { recursive: true, force: true }))

const disk = (name: string, bytes: Buffer) => {
  const path = join(dir, name)
  writeFileSync(path, bytes)
  return path
}
const order = (path: string, more: Partial<BootOrder> = {}): BootOrder =>
  ({ path, format: "raw", architecture: "x86_64", firmware: "bios", answers: false, files: [], units: [], sysctl: [], timeoutMs: 60_000, ...more })
const heard = () => {
  const lines: Array<string> = []
  const stages: Array<string> = []
  return { lines, stages, line: (text: string) => void lines.push(text), progress: ({ stage }: { readonly stage: string }) => void stages.push(stage) }
}
const booting = (what: BootOrder, report: Report = heard()) =>
  Effect.flatMap(ImageTests, (tests) => tests.boot(what, workspace(), report)).pipe(Effect.provide(ImageTestsQemu))
const boot = (what: BootOrder, report: Report = heard()) => Effect.runPromise(booting(what, report))

/** Processes whose folder lies in ours. */
const machines = () => readdirSync("/proc").filter((pid) => {
  try {
    return readlinkSync(`/proc/${pid}/cwd`).startsWith(workspace())
  } catch {
    return false
  }
})

describe("a boot in the emulator", () => {
  skipWhere(impossible !== undefined, impossible ?? "")

  it("of what asks for a login is ready, with its console and a picture of its screen, and leaves nothing behind", async () => {
    const report = heard()
    const path = disk("login.raw", sectorSaying("\u001b[1mWelcome\u001b[0m to something\r\n\r\nbox login: "))
    const meter = new Meter()
    const booted = await Effect.runPromise(Effect.provideService(booting(order(path), report), AttemptMeter, meter))
    expect(meter.spent?.cpuMs).toBeGreaterThan(0)
    expect(booted).toMatchObject({ console: "Welcome to something\n\nbox login: " })
    expect(booted.readyMs).toBeLessThanOrEqual(booted.tookMs)
    expect(Buffer.from(booted.screenshot!).subarray(1, 4).toString()).toBe("PNG")
    expect(report.lines).toEqual(["Welcome to something"])
    expect(report.stages).toContain("firmware")
    expect([machines(), existsSync(workspace()) && readdirSync(workspace())]).toEqual([[], []])
  })

  it("of an image that has to answer is not ready by a prompt alone", async () => {
    const path = disk("mute.raw", sectorSaying("box login: "))
    const booted = await boot(order(path, { answers: true, timeoutMs: 3000 }))
    expect(booted).toMatchObject({ problem: "not ready within 3 s: its system has started, and is not ready" })
    expect(booted).not.toHaveProperty("readyMs")
  })

  it("of a disk with nothing on it says so at once, in either firmware", async () => {
    const path = disk("empty.raw", Buffer.alloc(1024 * 1024))
    expect(await boot(order(path))).toMatchObject({ problem: "the firmware found nothing to boot from" })
    expect(await boot(order(path, { firmware: "uefi", timeoutMs: 120_000 }))).toMatchObject({ problem: "the firmware found nothing to boot from" })
  }, 180_000)

  it("of a kernel that panics says what it said", async () => {
    const path = disk("panic.raw", sectorSaying("[    1.234567] Kernel panic - not syncing: No working init found.\r\n"))
    expect(await boot(order(path))).toMatchObject({ problem: "the kernel panicked: No working init found.", console: expect.stringContaining("[    1.234567] Kernel panic") })
  })

  it("is given up when its time is over, with what was seen until then", async () => {
    const path = disk("slow.raw", sectorSaying("GRUB loading."))
    expect(await boot(order(path, { timeoutMs: 4000 }))).toMatchObject({ problem: "not ready within 4 s: its kernel has started no system", console: "GRUB loading." })
  })

  it("leaves the image as it is, and reads every format that can be a disk", async () => {
    const path = disk("plain.raw", sectorSaying("box login: "))
    for (const [format, args] of [["qcow2", ["-O", "qcow2"]], ["vmdk", ["-O", "vmdk", "-o", "subformat=streamOptimized"]]] as const) {
      const other = join(dir, `plain.${format}`)
      execFileSync("qemu-img", ["convert", "-f", "raw", ...args, path, other])
      const before = statSync(other).mtimeMs
      expect(await boot(order(other, { format }))).toHaveProperty("readyMs")
      expect(statSync(other).mtimeMs).toBe(before)
    }
    execFileSync("zstd", ["-q", path, "-o", join(dir, "plain.raw.zst")])
    expect(await boot(order(join(dir, "plain.raw.zst"), { format: "raw.zst" }))).toHaveProperty("readyMs")
  })

  it("that is canceled ends its machine and leaves no file", async () => {
    const path = disk("endless.raw", sectorSaying("GRUB"))
    const begun = Promise.withResolvers<void>()
    const fiber = Effect.runFork(booting(order(path), { line: () => {}, progress: () => begun.resolve() }))
    await begun.promise
    expect(machines()).not.toEqual([])
    await Effect.runPromise(Fiber.interrupt(fiber))
    expect([machines(), readdirSync(workspace())]).toEqual([[], []])
  })

  it("whose emulator breaks down is nothing that the image has done", async () => {
    const path = disk("broken.qcow2", Buffer.alloc(1024 * 1024))
    execFileSync("qemu-img", ["create", "-q", "-f", "qcow2", path, "1M"])
    const workplace = workspace()
    const breaking = { line: () => {}, progress: () => { for (const pid of machines()) process.kill(Number(pid), "SIGKILL") } }
    const failure = await Effect.runPromise(Effect.flip(booting(order(path, { format: "qcow2" }), breaking)))
    expect(failure).toMatchObject({ class: "platform", message: expect.stringContaining("the emulator ended by SIGKILL") })
    expect(readdirSync(workplace)).toEqual([])
  })

  it("of an image that is not there is this machine's fault", async () => {
    const failure = await Effect.runPromise(Effect.flip(booting(order(join(dir, "nowhere.raw")))))
    expect(failure).toMatchObject({ class: "platform", message: "the image cannot be opened" })
  })
})

describe("what cannot be booted", () => {
  const why = (what: Pick<BootOrder, "architecture" | "firmware" | "format">) =>
    Effect.runPromise(Effect.flatMap(ImageTests, (tests) => tests.impossible(what)).pipe(Effect.provide(ImageTestsQemu)))
  it("is said with its reason", async () => {
    expect(await why({ architecture: "x86_64", firmware: "bios", format: "oci" })).toBe("nothing here boots the format oci")
    expect(await why({ architecture: "aarch64", firmware: "bios", format: "qcow2" })).toBe("machines of aarch64 have no BIOS")
    expect(await why({ architecture: "x86_64", firmware: "uefi", format: "qcow2" })).toBe(impossible)
  })
})
