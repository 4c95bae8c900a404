import { execFileSync } from "node:child_process"
import { chmodSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, utimesSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterEach, beforeEach, describe, expect, it } from "vitest"
import { differencesOf } from "../../../domain/image-difference.ts"
import { ImageContents } from "../../../domain/ports/image-contents.ts"
import { ImageContentsTools } from "../../../infra/contents/image-contents.ts"
import { needs } from "../../support/needs.ts"

needs("perl", "unshare", "qemu-img", "sfdisk", "mke2fs", "debugfs", "mkfs.vfat", "mcopy", "mksquashfs", "unsquashfs", "zstd", "pigz", "xorriso")

let dir = ""
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), "kiln-contents-test-"))
})
afterEach(() => rmSync(dir, { recursive: true, force: true }))

const run = (program: string, ...args: ReadonlyArray<string>) =>
  execFileSync(program, args, { cwd: dir, stdio: ["ignore", "pipe", "ignore"], env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin`, MTOOLS_SKIP_CHECK: "1", TZ: "UTC", E2FSPROGS_FAKE_TIME: "1000000000" } })

interface Wishes {
  readonly text: string
  readonly mode: number
  readonly extra: boolean
}

/** A folder that differs from its like by what is asked for, and by nothing else. */
const tree = (name: string, { extra, mode, text }: Wishes) => {
  mkdirSync(join(dir, name, "etc"), { recursive: true })
  writeFileSync(join(dir, name, "etc/same"), "same")
  writeFileSync(join(dir, name, "etc/text"), text)
  chmodSync(join(dir, name, "etc/text"), mode)
  if (extra) writeFileSync(join(dir, name, "etc/ex tra"), "")
  symlinkSync("same", join(dir, name, "etc/link"))
  for (const path of ["etc/same", "etc/text", ...(extra ? ["etc/ex tra"] : []), "etc", ""]) utimesSync(join(dir, name, path), 1e9, 1e9)
  return join(dir, name)
}

/** A GPT disk with a FAT and an ext4 file system; its bytes differ each time. */
const disk = (name: string, from: string) => {
  writeFileSync(join(dir, "esp-file"), "loader")
  utimesSync(join(dir, "esp-file"), 1e9, 1e9)
  run("truncate", "-s", "40M", name)
  execFileSync("sfdisk", ["-q", "--no-reread", "--no-tell-kernel", name], {
    cwd: dir, env: { ...process.env, PATH: `${process.env["PATH"]}:/usr/sbin:/sbin` }, stdio: ["pipe", "ignore", "ignore"],
    input: "label: gpt\nlabel-id: 8E2E5C1D-6D6F-4C0C-9B6A-0D2C4C9B1A11\nstart=1MiB, size=8MiB, type=U, uuid=8E2E5C1D-6D6F-4C0C-9B6A-0D2C4C9B1A12, name=\"esp\"\n"
      + "start=9MiB, size=30MiB, type=L, uuid=8E2E5C1D-6D6F-4C0C-9B6A-0D2C4C9B1A13, name=\"root\"\n"
  })
  run("mkfs.vfat", "--offset", "2048", name, "8192")
  run("mcopy", "-m", "-i", `${name}@@1M`, "esp-file", "::/esp-file")
  run("mke2fs", "-q", "-F", "-t", "ext4", "-E", "offset=9437184,root_owner=0:0", "-d", from, name, "30M")
  return join(dir, name)
}

const differences = (first: string, second: string) =>
  Effect.runPromise(Effect.gen(function*() {
    const { read } = yield* ImageContents
    return differencesOf(yield* read(first), yield* read(second))
  }).pipe(Effect.provide(ImageContentsTools)))

const plain: Wishes = { text: "one", mode: 0o644, extra: false }
const other: Wishes = { text: "other", mode: 0o600, extra: true }
const expected = (part: string) => [
  { where: `${part}:/etc/ex tra`, what: "only in the second" },
  { where: `${part}:/etc/text`, what: "different", fields: { mode: ["0644", "0600"], size: ["3", "5"], sha256: [expect.stringMatching(/^[0-9a-f]{64}$/), expect.any(String)] } }
]

describe("two disks", () => {
  it("hold the same, whatever their format and however their file systems are laid out", async () => {
    const raw = disk("a.raw", tree("a", plain))
    disk("b.raw", tree("b", plain))
    run("qemu-img", "convert", "-O", "qcow2", "-c", "b.raw", "b.qcow2")
    run("zstd", "-q", "a.raw")
    expect(await differences(raw, join(dir, "b.qcow2"))).toEqual([])
    expect(await differences(join(dir, "a.raw.zst"), raw)).toEqual([])
  })

  it("differ by files, with the fields in which they do", async () =>
    expect(await differences(disk("a.raw", tree("a", plain)), disk("b.raw", tree("b", other)))).toEqual(expected("root")))

  it("differ by their partitions", async () => {
    const from = tree("a", plain)
    const [first, second] = [disk("a.raw", from), disk("b.raw", from)]
    run("sfdisk", "--part-label", second, "2", "other")
    const found = await differences(first, second)
    expect(found).toContainEqual({ where: "partition root", what: "only in the first" })
    expect(found).toContainEqual({ where: "other:/etc/text", what: "only in the second" })
  })
})

describe("two archives", () => {
  it("differ by their members, whatever packs them", async () => {
    tree("a", plain)
    tree("b", other)
    run("tar", "--owner=0", "--group=0", "-C", "a", "-cf", "a.tar", ".")
    run("tar", "--owner=0", "--group=0", "--sort=name", "-C", "b", "-czf", "b.tar.gz", ".")
    expect(await differences(join(dir, "a.tar"), join(dir, "b.tar.gz"))).toEqual(expected("archive"))
    run("mksquashfs", "a", "a.squashfs", "-quiet", "-no-progress")
    run("mksquashfs", "b", "b.squashfs", "-quiet", "-no-progress")
    expect(await differences(join(dir, "a.squashfs"), join(dir, "b.squashfs"))).toEqual(expected("squashfs"))
  })
})

describe("two archives that hold images", () => {
  const script = (name: string) => join(import.meta.dirname, "../../../infra/formats", name)
  const pair = async (make: (name: string, from: string) => void) => {
    for (const [name, wishes] of [["a", plain], ["b", plain], ["c", other]] as const) make(name, tree(name, wishes))
    return { alike: await differences(join(dir, "a.out"), join(dir, "b.out")), unlike: await differences(join(dir, "a.out"), join(dir, "c.out")) }
  }
  const bundle = (name: string, ...members: ReadonlyArray<string>) =>
    run("tar", "--owner=0", "--group=0", "--mtime=@0", "--format=ustar", "-C", `${name}.parts`, "-cf", `${name}.out`, ...members)

  it("of a cloud's disk without its zeros, differ by the files of the disk alone", async () => {
    const { alike, unlike } = await pair((name, from) => run("bash", script("convert.sh"), "raw", disk(`${name}.raw`, from), "gcp", `${name}.out`))
    expect(alike).toEqual([])
    expect(unlike).toEqual(expected("disk.raw:root"))
  })
  it("of a machine and its disk, differ by the files of the disk, and by the list of checksums", async () => {
    const { alike, unlike } = await pair((name, from) => run("bash", script("convert.sh"), "raw", disk(`${name}.raw`, from), "ova", `${name}.out`))
    expect(alike.filter(({ where }) => where.startsWith("disk.vmdk:"))).toEqual([])
    expect(unlike.filter(({ where }) => !/^archive:\/image\.(mf|ovf)$/.test(where))).toEqual(expected("disk.vmdk:root"))
  })
  it("of what a network boots, differ by the files of the root", async () => {
    const { alike, unlike } = await pair((name, from) => {
      mkdirSync(join(dir, `${name}.parts`))
      writeFileSync(join(dir, `${name}.parts/vmlinuz`), "kernel")
      run("mksquashfs", from, `${name}.parts/root.squashfs`, "-quiet", "-no-progress", ...(name === "b" ? ["-comp", "xz"] : []))
      utimesSync(join(dir, `${name}.parts`), 1e9, 1e9)
      bundle(name, ".")
    })
    expect(alike).toEqual([])
    expect(unlike).toEqual(expected("root.squashfs:squashfs"))
  })
  it("of a container's layers, differ by the files of each layer, in their order", async () => {
    const { alike, unlike } = await pair((name, from) => {
      run("tar", "--owner=0", "--group=0", "--sort=name", "--mtime=@0", "-C", from, "-cf", `${name}.layer`, ".")
      execFileSync("bash", [script("oci-archive.sh"), `${name}.layer`, "amd64", `${name}.out`], { cwd: dir, env: { ...process.env, SOURCE_DATE_EPOCH: "1000000000" } })
    })
    expect(alike).toEqual([])
    expect(unlike.filter(({ where }) => !where.startsWith("archive:/"))).toEqual(expected("layer 1:archive"))
  })
  it("of a live system, differ by the files of its root too, beside its bytes", async () => {
    const { unlike } = await pair((name, from) => {
      mkdirSync(join(dir, `${name}.parts/live`), { recursive: true })
      run("mksquashfs", from, `${name}.parts/live/filesystem.squashfs`, "-quiet", "-no-progress")
      run("xorriso", "-as", "mkisofs", "-o", `${name}.out`, `${name}.parts`)
    })
    const where = unlike.map(({ where }) => where)
    expect(where).toContain("the bytes of disk")
    expect(where).toContain("iso:/live/filesystem.squashfs")
    expect(unlike.filter(({ where }) => where.startsWith("filesystem.squashfs:"))).toEqual(expected("filesystem.squashfs:squashfs"))
  })
  it("are told apart by bytes where a member is no image, and by its target where it is a link", async () => {
    const { alike, unlike } = await pair((name) => {
      mkdirSync(join(dir, `${name}.parts`))
      writeFileSync(join(dir, `${name}.parts/root.squashfs`), `hsqs${name === "c" ? "other" : "one"}`)
      bundle(name, "root.squashfs")
    })
    expect(alike).toEqual([])
    expect(unlike).toEqual([{ where: "the bytes of root.squashfs", what: "different", fields: { fact: [expect.any(String), expect.any(String)] } }])
    for (const [name, target] of [["d", "/etc/passwd"], ["e", "/etc/group"]] as const) {
      mkdirSync(join(dir, `${name}.parts`))
      symlinkSync(target, join(dir, `${name}.parts/disk.raw`))
      bundle(name, "disk.raw")
    }
    expect(await differences(join(dir, "d.out"), join(dir, "e.out"))).toEqual([
      { where: "archive:/disk.raw", what: "different", fields: { target: ["/etc/passwd", "/etc/group"] } }
    ])
  })
})

describe("what is no image", () => {
  it("is refused in words", async () => {
    await expect(differences(join(dir, "none"), join(dir, "none"))).rejects.toThrow(/none cannot be read/)
  })
})
