/** Every image type, made from cached base trees and looked into without being booted. */
import { execFileSync } from "node:child_process"
import { createHash } from "node:crypto"
import { mkdir, mkdtemp, rm, stat } from "node:fs/promises"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect, Result } from "effect"
import { afterAll, beforeAll, describe, expect, it } from "vitest"
import type { ImageOptions } from "../../domain/image-options.ts"
import type { BuiltFile } from "../../domain/ports/image-builder.ts"
import { sha256Of } from "../../infra/files/sha256-of.ts"
import { imageTypes } from "../../infra/debian/image-types/all.ts"
import { isDisk } from "../../infra/debian/image-types/image-type.ts"
import { convert, type DiskFormat } from "../../infra/formats/convert.ts"
import { buildImpossible, built, coldCache, openedDisk, rawDisk, typedSpec } from "../infra/debian/real.ts"
import { needs, skipWhere } from "../support/needs.ts"

const MiB = 2 ** 20
const impossible = await buildImpossible()

/** A disk with one of every option. */
const divided: ImageOptions = {
  swap_bytes: 64 * MiB,
  mountpoints: [
    { mountpoint: "/home", size_bytes: 64 * MiB },
    { mountpoint: "/srv/data", size_bytes: 128 * MiB, filesystem: "btrfs" },
    { mountpoint: "/tmp", size_bytes: 32 * MiB }
  ],
  serial: false
}
const customizations = { hostname: "box", users: [{ name: "ann" }], files: [{ path: "/srv/data/a file", data: "kept\n" }] }

interface Wanted {
  readonly name: string
  readonly type: string
  readonly options?: ImageOptions
  readonly scratch?: "disk"
}

/** Trees also a second time, elsewhere: their bytes depend on nothing but what is in them. */
const wanted: ReadonlyArray<Wanted> = [
  // Its root is that of network-boot.
  ...imageTypes.map(({ name }) => ({ name, type: name, ...(name === "live-iso" && { scratch: "disk" as const }) })),
  { name: "divided", type: "minimal-raw", options: divided },
  { name: "container-of-another-place", type: "container", scratch: "disk" },
  { name: "wsl-of-another-place", type: "wsl", scratch: "disk" }
]

describe("image types", () => {
  skipWhere(impossible !== undefined, impossible ?? "")
  needs("mksquashfs", "xorriso", "mkfs.btrfs", "pigz")

  let dir = ""
  const files = new Map<string, BuiltFile>()
  const fileOf = (name: string) => files.get(name)!
  const said = (...argv: [string, ...Array<string>]) => execFileSync(argv[0], argv.slice(1), { encoding: "utf8", maxBuffer: 1 << 26 })
  const inArchive = (name: string, path: string) => execFileSync("tar", ["-xOf", fileOf(name).path, path], { maxBuffer: 1 << 28 })
  const disks = new Map<string, string>()
  const rawOf = async (name: string) => {
    const { format, path } = fileOf(name)
    const raw = join(dir, `${name}.raw`)
    if (!disks.has(name)) await Effect.runPromise(convert({ path, format: format as DiskFormat }, { path: raw, format: "raw" }))
    disks.set(name, raw)
    return raw
  }

  beforeAll(async () => {
    if (impossible !== undefined) return
    dir = await mkdtemp(join(tmpdir(), "kiln-types-"))
    const make = async ({ name, options, scratch, type }: Wanted) => {
      const workspace = join(dir, name)
      await mkdir(workspace)
      files.set(name, Result.getOrThrow(await built(typedSpec(type, customizations, options), workspace, { ...(scratch && { scratch }) })))
    }
    await Effect.runPromise(Effect.forEach(wanted, (each) => Effect.promise(() => make(each)), { concurrency: 2, discard: true }))
  }, 900_000)
  afterAll(async () => {
    if (dir !== "") await rm(dir, { recursive: true, force: true })
  })

  it.each(imageTypes.filter(({ format }) => isDisk(format)).map(({ name }) => name))("%s is a disk that boots in both firmwares", async (name) => {
    const disk = rawDisk(await rawOf(name))
    expect((await disk.table()).partitions.map((partition) => partition.name)).toEqual(["esp", "root"])
    expect(await disk.esp("/loader/entries/linux.conf")).toMatch(/^options root=PARTUUID=\S+ ro console=tty0 console=ttyS0,115200 quiet/m)
    expect(await disk.esp("/syslinux.cfg")).toContain("DEFAULT linux")
    expect(await disk.text("/etc/hostname")).toBe("box\n")
  })

  it.each([
    ["guest-image", "box.qcow2"], ["minimal-raw", "box.raw.zst"], ["aws", "box.raw"], ["azure", "box.vhd"], ["gcp", "box.tar.gz"],
    ["oci", "box.qcow2"], ["vsphere", "box.vmdk"], ["vsphere-ova", "box.ova"], ["wsl", "box.tar.gz"], ["container", "box.oci.tar"],
    ["network-boot", "box.tar"], ["live-iso", "box.iso"]
  ])("%s is called %s", (name, filename) => expect(fileOf(name).filename).toBe(filename))

  it.each([
    ["aws", "Ec2", "amazon-ec2-utils"], ["azure", "Azure", "waagent"], ["gcp", "GCE", "google-guest-agent"], ["oci", "Oracle", "cloud-init"],
    ["vsphere", "VMware, OVF, NoCloud", "open-vm-tools"]
  ])("%s asks %s who it is, and has %s", async (name, source, agent) => {
    const disk = rawDisk(await rawOf(name))
    expect(await disk.text("/etc/cloud/cloud.cfg.d/90-kiln-cloud.cfg")).toContain(`datasource_list: [ ${source}, None ]\n`)
    expect(await disk.text("/var/lib/dpkg/status")).toContain(`\nPackage: ${agent}\nStatus: install ok installed\n`)
    expect((await disk.names("/etc/ssh")).filter((file) => file.startsWith("ssh_host"))).toEqual([])
    expect(await disk.text("/etc/machine-id")).toBe("")
  })

  it("Azure's and Google's disks are of the sizes that they ask for", async () => {
    const azure = JSON.parse(said("qemu-img", "info", "-f", "vpc", "--output=json", fileOf("azure").path)) as { "virtual-size": number }
    expect(azure["virtual-size"] % MiB).toBe(0)
    expect((await stat(await rawOf("gcp"))).size % 2 ** 30).toBe(0)
  })

  it("a disk can be divided, with swap, and each part has what belongs there", async () => {
    const raw = await rawOf("divided")
    const { partitions } = await rawDisk(raw).table()
    const at = (name: string) => partitions.find((partition) => partition.name === name)!.start * 512
    expect(partitions.map(({ name }) => name)).toEqual(["esp", "swap", "home", "srv-data", "tmp", "root"])
    expect(await rawDisk(raw, at("home")).stat("/ann")).toMatch(/Type: directory Mode: 0700 .*User: 1000 /)
    expect(await rawDisk(raw, at("tmp")).stat("/")).toContain("Mode: 01777")
    expect(said("blkid", "-p", "-o", "value", "-s", "TYPE", "-O", String(at("swap")), raw)).toBe("swap\n")
    expect(said("blkid", "-p", "-o", "value", "-s", "TYPE", "-O", String(at("srv-data")), raw)).toBe("btrfs\n")
    const root = rawDisk(raw, at("root"))
    expect(await root.names("/home")).not.toContain("ann")
    expect((await root.text("/etc/fstab")).split("\n").map((line) => line.split("\t").slice(1, 3).join(" "))).toEqual([
      "/ ext4", "/boot/efi vfat", "none swap", "/home ext4", "/tmp ext4", "/srv/data btrfs", ""
    ])
    expect(await rawDisk(raw, at("home")).check()).toMatch(/files/)
    expect(await root.esp("/loader/entries/linux.conf")).not.toContain("ttyS0")
  })

  it.each([
    ["a link", {}, { mountpoints: [{ mountpoint: "/var/run/x", size_bytes: 16 * MiB }] }, 'image.options.mountpoints[0].mountpoint: "/var/run/x" leads through a link'],
    [
      "a place too small",
      { files: Array.from({ length: 24 }, (_, index) => ({ path: `/srv/${index}`, data: "x".repeat(500_000) })) },
      { mountpoints: [{ mountpoint: "/srv", size_bytes: 16 * MiB }] },
      "image.options.mountpoints[0].size_bytes: what lies below /srv needs at least"
    ]
  ])("refuses %s as a mount point, naming the field", async (_, asked, options, message) => {
    const workspace = join(dir, `refused-${message.length}`)
    await mkdir(workspace)
    const result = await built(typedSpec("guest-image", asked, options), workspace)
    expect(Result.isFailure(result) && [result.failure.class, result.failure.message]).toEqual(["user", expect.stringContaining(message)])
  })

  it("wsl is an archive of a tree without a kernel, which says who its shell belongs to", () => {
    const names = said("tar", "-tzf", fileOf("wsl").path)
    expect(names).toContain("./etc/wsl-distribution.conf\n")
    expect(names).not.toMatch(/vmlinuz|sshd/)
    expect(said("tar", "-xzOf", fileOf("wsl").path, "./etc/wsl.conf")).toContain("systemd=true\n\n[user]\ndefault=ann\n")
  })

  it("keeps the licence of every package at its own name, though some have it in another's folder", () => {
    const tar = fileOf("wsl").path
    const listed = said("tar", "-tvzf", tar).split("\n")
    const copyrights = new Set(listed.flatMap((line) => / \.\/usr\/share\/doc\/([^/ ]+)\/copyright( -> .*)?$/.exec(line)?.[1] ?? []))
    const links = new Map(listed.flatMap((line) => {
      const [, from, to] = / \.\/usr\/share\/doc\/([^/ ]+) -> ([^/ ]+)$/.exec(line) ?? []
      return from === undefined ? [] : [[from, to!]]
    }))
    const installed = said("tar", "-xzOf", tar, "./var/lib/dpkg/status").split("\n").flatMap((line) => /^Package: (.+)$/.exec(line)?.[1] ?? [])
    expect(installed.length).toBeGreaterThan(80)
    expect(links.size).toBeGreaterThan(0)
    expect(installed.filter((name) => !copyrights.has(name) && !copyrights.has(links.get(name) ?? ""))).toEqual([])
  })

  it("a container's archive has a manifest, a configuration and a layer, all by their digests", () => {
    const json = (path: string) => JSON.parse(inArchive("container", path).toString()) as Record<string, any>
    const digestOf = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`
    const blob = ({ digest, size }: { digest: string; size: number }) => {
      const bytes = inArchive("container", `blobs/${digest.replace(":", "/")}`)
      expect([digestOf(bytes), bytes.length]).toEqual([digest, size])
      return bytes
    }
    expect(json("oci-layout")).toEqual({ imageLayoutVersion: "1.0.0" })
    const manifest = JSON.parse(blob(json("index.json")["manifests"][0]).toString())
    const config = JSON.parse(blob(manifest.config).toString())
    const layer = blob(manifest.layers[0])
    expect(config).toMatchObject({ architecture: "amd64", os: "linux", config: { Cmd: ["/bin/bash"] } })
    const tree = execFileSync("gzip", ["-dc"], { input: layer, maxBuffer: 1 << 29 })
    expect(config.rootfs.diff_ids).toEqual([digestOf(tree)])
    const names = execFileSync("tar", ["-tf", "-"], { input: tree, encoding: "utf8", maxBuffer: 1 << 26 })
    expect(names).toContain("./etc/os-release\n")
    expect(names).not.toMatch(/vmlinuz|systemd\/systemd$/m)
  })

  it.each(["container", "wsl"])("%s has the same bytes again, made in another place", async (name) =>
    expect(await sha256Of(fileOf(`${name}-of-another-place`).path)).toBe(await sha256Of(fileOf(name).path)))

  it("network-boot has kernel, initramfs, root and a script for iPXE", async () => {
    const names = said("tar", "-tf", fileOf("network-boot").path)
    expect(names.trim().split("\n").sort()).toEqual(["./", "./boot.ipxe", "./initrd.img", "./root.squashfs", "./vmlinuz"])
    expect(inArchive("network-boot", "./boot.ipxe").toString()).toMatch(/^#!ipxe\nisset \$\{base\} .*\n.*\nkernel vmlinuz .*boot=live fetch=\$\{base\}root.squashfs/)
    said("tar", "-xf", fileOf("network-boot").path, "-C", dir, "./root.squashfs")
    expect(said("unsquashfs", "-cat", join(dir, "root.squashfs"), "etc/hostname")).toBe("box\n")
    expect(said("unsquashfs", "-llnumeric", join(dir, "root.squashfs"), "home")).toMatch(
      /^drwxr-xr-x 0\/0 .* squashfs-root\n(.*\n)*drwx------ 1000\/1000 .* squashfs-root\/home\/ann\n/
    )
  })

  it("live-iso boots from CD and stick, in both firmwares", () => {
    const report = said("xorriso", "-indev", fileOf("live-iso").path, "-report_el_torito", "plain", "-report_system_area", "plain")
    expect(report).toMatch(/El Torito boot img : {3}1 {2}BIOS/)
    expect(report).toMatch(/El Torito boot img : {3}2 {2}UEFI/)
    // Firmware takes what is left of the volume, since the catalog has no room for its size: it has to lie within.
    expect(report).toMatch(/El Torito img path : {3}2 {2}\/efi\.img/)
    expect(report).toMatch(/GPT partition path : +\d {2}\/efi\.img/)
    expect(report).toMatch(/isohybrid/)
  })

  it("live-iso has the kernel, the initramfs and the root of network-boot, byte by byte, though made in another place", async () => {
    const [booted, live] = [join(dir, "network-boot"), join(dir, "live")]
    said("tar", "-xf", fileOf("network-boot").path, "-C", booted)
    said("xorriso", "-osirrox", "on", "-indev", fileOf("live-iso").path, "-extract", "/live", live)
    for (const [there, here] of [["vmlinuz", "vmlinuz"], ["initrd.img", "initrd.img"], ["filesystem.squashfs", "root.squashfs"]] as const)
      expect(await sha256Of(join(live, there))).toBe(await sha256Of(join(booted, here)))
  })
})

describe("Debian 12", () => {
  skipWhere(impossible !== undefined, impossible ?? "")

  let dir = ""
  afterAll(async () => {
    if (dir !== "") await rm(dir, { recursive: true, force: true })
  })

  it("is built as 13 is: a disk for both firmwares, with the ready unit and with nothing of one machine alone", async () => {
    dir = await mkdtemp(join(tmpdir(), "kiln-twelve-"))
    const spec = typedSpec("guest-image", { ...customizations, timezone: "Europe/Berlin", files: [] }, undefined, "debian-12")
    const { filename, path } = Result.getOrThrow(await built(spec, dir, { cacheDir: await coldCache(dir) }))
    expect(filename).toBe("box.qcow2")
    const disk = await openedDisk(path, dir)
    expect(await disk.text("/etc/os-release") + await disk.text("/usr/lib/os-release")).toMatch(/^VERSION_CODENAME=bookworm$/m)
    expect(await disk.text("/var/lib/dpkg/status")).toMatch(/\nPackage: libc6\n(?:.+\n)*?Version: 2\.36-/)
    expect((await disk.text("/etc/apt/sources.list")).trim().split("\n").map((line) => line.split(" ")[3])).toEqual([
      "bookworm", "bookworm-updates", "bookworm-security"
    ])
    expect(await disk.esp("/loader/entries/linux.conf")).toMatch(/^options root=PARTUUID=\S+ ro /m)
    expect(await disk.esp("/syslinux.cfg")).toContain("DEFAULT linux")
    expect(await disk.text("/etc/machine-id")).toBe("")
    expect((await disk.names("/etc/ssh")).filter((file) => file.startsWith("ssh_host"))).toEqual([])
    expect(await disk.names("/etc/systemd/system/multi-user.target.wants")).toContain("kiln-ready.service")
    expect(await disk.text("/etc/hostname")).toBe("box\n")
    expect(await disk.stat("/etc/localtime")).toContain("/usr/share/zoneinfo/Europe/Berlin")
  })
})
