import { execFileSync } from "node:child_process"
import { createHash, randomBytes } from "node:crypto"
import { readFileSync } from "node:fs"
import { copyFile, mkdir, mkdtemp, open, readdir, readFile, rm, writeFile } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Fiber, Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import { convert, diskFormats, type DiskFormat } from "../../../infra/formats/convert.ts"
import { needs } from "../../support/needs.ts"

const MiB = 2 ** 20
const size = 9 * MiB
let dir = ""
const at = (name: string) => join(dir, name)
const sha256 = (path: string) => createHash("sha256").update(readFileSync(path)).digest("hex")
const said = (...argv: [string, ...Array<string>]) => execFileSync(argv[0], argv.slice(1), { encoding: "utf8" })
const made = async (format: DiskFormat, from = at("sparse.raw"), name = `disk.${diskFormats[format].extension}`) => {
  await Effect.runPromise(convert({ path: from, format: "raw" }, { path: at(name), format }))
  return at(name)
}

/** The same disk twice: with holes, and with every zero written. */
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), "kiln-formats-"))
  const disk = await open(at("sparse.raw"), "w")
  await disk.truncate(size)
  const noise = randomBytes(300_000)
  await disk.write(noise, 0, 512, 0)
  await disk.write(noise, 0, noise.length, MiB)
  await disk.write(noise, 0, 1000, 5 * MiB + 700)
  await disk.close()
  await writeFile(at("dense.raw"), await readFile(at("sparse.raw")))
})
afterAll(() => rm(dir, { recursive: true, force: true }))

describe("a disk in another format", () => {
  needs("qemu-img", "zstd", "pigz")

  it.each(Object.keys(diskFormats) as Array<DiskFormat>)("%s has the same bytes for the same disk, and the disk in it", async (format) => {
    const first = await made(format)
    await mkdir(at(`other-${format}`))
    await copyFile(at("dense.raw"), at(`other-${format}/elsewhere`))
    const second = await made(format, at(`other-${format}/elsewhere`), `second-${format}`)
    expect(sha256(second)).toBe(sha256(first))

    await Effect.runPromise(convert({ path: first, format }, { path: at("back.raw"), format: "raw" }))
    const back = await readFile(at("back.raw"))
    expect(back.subarray(0, size).equals(await readFile(at("dense.raw")))).toBe(true)
    expect(back.length).toBe(format === "gcp" ? 2 ** 30 : size)
    expect((await readdir(dir)).filter((name) => /\.part/.test(name))).toEqual([])
  })

  it("is made of any other, not only of the plain disk", async () => {
    const plain = await made("qcow2", undefined, "a.qcow2")
    await Effect.runPromise(convert({ path: plain, format: "qcow2" }, { path: at("a.vhd"), format: "vhd" }))
    expect(sha256(at("a.vhd"))).toBe(sha256(await made("vhd")))
  })

  it("says how far it is", async () => {
    const percents: Array<number> = []
    await Effect.runPromise(
      convert({ path: at("sparse.raw"), format: "raw" }, { path: at("b.qcow2"), format: "qcow2" }, (percent) => percents.push(percent))
    )
    expect(percents.at(-1)).toBe(100)
  })

  it("leaves nothing behind when it fails", async () => {
    const before = await readdir(dir)
    const result = await Effect.runPromise(Effect.result(
      convert({ path: at("sparse.raw"), format: "qcow2" }, { path: at("never.ova"), format: "ova" })
    ))
    expect(Result.isFailure(result) && result.failure).toMatchObject({
      class: "platform", message: "making ova of qcow2 failed: exit 1", excerpt: expect.stringContaining("not in qcow2 format")
    })
    expect(await readdir(dir)).toEqual(before)
  })

  it("leaves nothing behind when it is canceled", async () => {
    const before = await readdir(dir)
    await writeFile(at("big.raw"), randomBytes(64 * MiB))
    const begun = Promise.withResolvers<void>()
    const fiber = Effect.runFork(
      convert({ path: at("big.raw"), format: "raw" }, { path: at("never.vmdk"), format: "vmdk" }, () => begun.resolve())
    )
    await begun.promise
    await Effect.runPromise(Fiber.interrupt(fiber))
    await rm(at("big.raw"))
    expect(await readdir(dir)).toEqual(before)
  })
})

describe("for each of those who take it", () => {
  needs("qemu-img", "zstd", "pigz")

  it("a VHD is of fixed size, with a footer that adds up, named after the disk", async () => {
    const path = await made("vhd")
    expect(JSON.parse(said("qemu-img", "info", "-f", "vpc", "--output=json", path))).toMatchObject({ "virtual-size": size })
    const file = await readFile(path)
    const footer = file.subarray(size)
    expect([footer.length, footer.toString("latin1", 0, 8), footer.readUInt32BE(60)]).toEqual([512, "conectix", 2])
    expect([footer.readBigUInt64BE(40), footer.readBigUInt64BE(48)]).toEqual([BigInt(size), BigInt(size)])
    const sum = footer.reduce((total, byte, index) => total + (index >= 64 && index < 68 ? 0 : byte), 0)
    expect(footer.readUInt32BE(64)).toBe(~sum >>> 0)
    const other = await open(at("other.raw"), "w")
    await other.truncate(size)
    await other.close()
    const differs = await readFile(await made("vhd", at("other.raw"), "other.vhd"))
    expect(differs.subarray(size + 68, size + 84).equals(footer.subarray(68, 84))).toBe(false)
  })

  it("a VHD and a VMDK are a whole number of MiB", async () => {
    const odd = await open(at("odd.raw"), "w")
    await odd.truncate(3 * MiB + 512)
    await odd.close()
    expect((await readFile(await made("vhd", at("odd.raw"), "odd.vhd"))).length).toBe(4 * MiB + 512)
    expect(JSON.parse(said("qemu-img", "info", "--output=json", await made("vmdk", at("odd.raw"), "odd.vmdk")))).toMatchObject({ "virtual-size": 4 * MiB })
  })

  it("a VMDK is stream-optimised, for an LSI adapter", async () => {
    const path = await made("vmdk")
    const text = (await readFile(path)).toString("latin1", 512, 2048)
    expect(text).toMatch(/^CID=5[0-9a-f]{7}\nparentCID=ffffffff\ncreateType="streamOptimized"/m)
    expect(text).toContain('ddb.adapterType = "lsilogic"')
    expect(said("qemu-img", "check", "-f", "vmdk", path)).toContain("No errors were found")
  })

  it("Compute Engine's archive is of the old GNU kind, sparse, and its compression says neither name nor time", async () => {
    const path = await made("gcp")
    const file = await readFile(path)
    expect([...file.subarray(0, 8)]).toEqual([0x1f, 0x8b, 8, 0, 0, 0, 0, 0])
    expect(said("tar", "-tvzf", path).trim()).toBe(`-rw-r--r-- 0/0      ${2 ** 30} 1970-01-01 00:00 disk.raw`)
    const head = execFileSync("bash", ["-c", 'gzip -dc "$1" | head -c 512', "sh", path])
    expect([head.toString("latin1", 156, 157), head.toString("latin1", 257, 265)]).toEqual(["S", "ustar  \0"])
  })

  it("an OVA has its description first and what it lists is there, by size and digest", async () => {
    const path = await made("ova")
    expect(said("tar", "-tf", path)).toBe("image.ovf\nimage.mf\ndisk.vmdk\n")
    await mkdir(at("ova"))
    said("tar", "-xf", path, "-C", at("ova"))
    const disk = at("ova/disk.vmdk")
    const description = await readFile(at("ova/image.ovf"), "utf8")
    expect(description).toContain(`ovf:size="${(await readFile(disk)).length}"`)
    expect(description).toContain(`ovf:capacity="${size}"`)
    expect(await readFile(at("ova/image.mf"), "utf8")).toBe(
      `SHA256(image.ovf)= ${sha256(at("ova/image.ovf"))}\nSHA256(disk.vmdk)= ${sha256(disk)}\n`
    )
  })
})

describe("the description of a virtual machine", () => {
  needs("qemu-img", "pigz", "xmllint")

  it("is well-formed", async () => {
    const path = await made("ova", undefined, "c.ova")
    const text = said("tar", "-xOf", path, "image.ovf")
    execFileSync("xmllint", ["--noout", "-"], { input: text })
  })
})
