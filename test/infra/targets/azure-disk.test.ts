import { assert, describe, it } from "@effect/vitest"
import { execFileSync } from "node:child_process"
import { closeSync, mkdtempSync, openSync, readSync, rmSync, truncateSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { afterAll } from "vitest"
import { chunkSize, chunksOf, NoVhd, openDisk, runsIn } from "../../../infra/targets/azure/disk.ts"
import { footerSize, identityOf, vhdFooter } from "../../../infra/targets/azure/vhd-footer.ts"
import { needs } from "../../support/needs.ts"

const KiB = 1024
const MiB = 2 ** 20
const script = join(import.meta.dirname, "../../../infra/formats/vhd-footer.pl")
const dir = mkdtempSync(join(tmpdir(), "kiln-azure-disk-"))
afterAll(() => rmSync(dir, { recursive: true, force: true }))

describe("a disk on its way to Azure", () => {
  needs("perl")

  it("has the footer that a conversion writes, whatever its size", () => {
    for (const mib of [1, 4, 33, 130, 503, 504, 511, 1024, 2048, 10_240, 40_960, 130_000, 1_100_000]) {
      const [path, size] = [join(dir, "disk"), mib * MiB]
      writeFileSync(path, `${mib}`)
      truncateSync(path, size)
      const first = Buffer.alloc(MiB)
      first.write(`${mib}`)
      const identity = identityOf(first, size)
      execFileSync("perl", [script, path, identity.toString("hex")])
      const footer = Buffer.alloc(footerSize)
      const fd = openSync(path, "r")
      readSync(fd, footer, 0, footerSize, size)
      closeSync(fd)
      assert.isTrue(footer.equals(vhdFooter(size, identity)), `${mib} MiB`)
    }
  })

  it("is cut into runs that are not zero; few zeros go along", () => {
    const chunk = Buffer.alloc(chunkSize)
    assert.deepStrictEqual(runsIn(chunk), [])
    chunk[70 * KiB] = 1
    chunk[600 * KiB] = 1
    chunk[chunkSize - 1] = 1
    assert.deepStrictEqual(runsIn(chunk), [{ start: 64 * KiB, end: 640 * KiB }, { start: chunkSize - 64 * KiB, end: chunkSize }])
    assert.deepStrictEqual(runsIn(Buffer.alloc(512, 1)), [{ start: 0, end: 512 }])
  })

  it("is read where the file has anything, and no further than the disk", () => {
    assert.deepStrictEqual(chunksOf([{ start: 0, length: 1 }, { start: 8 * MiB - 1, length: 2 }, { start: 20 * MiB, length: 512 }], 20 * MiB), [0, 1, 2])
  })

  it("is no VHD that Azure takes with half a MiB, or without a footer", async () => {
    const path = join(dir, "short")
    writeFileSync(path, Buffer.alloc(MiB / 2 + footerSize))
    for (const [size, isVhd] of [[MiB / 2 + footerSize, true], [footerSize, true]] as const) {
      assert.instanceOf(await openDisk(path, size, isVhd).catch((error: unknown) => error), NoVhd)
    }
    writeFileSync(path, Buffer.alloc(MiB + footerSize))
    assert.instanceOf(await openDisk(path, MiB + footerSize, true).catch((error: unknown) => error), NoVhd)
  })
})
