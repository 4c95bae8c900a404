import { describe, expect, it } from "vitest"
import { diskIdsOf } from "../../../infra/debian/disk-ids.ts"
import { fstabOf, partitionsOf, planText } from "../../../infra/debian/layout.ts"
import { manifestOf } from "../../../domain/manifest.ts"
import { typedSpec } from "./real.ts"

const MiB = 2 ** 20
const ids = diskIdsOf(manifestOf("debian", typedSpec("guest-image", {}), undefined))

describe("the layout of a disk", () => {
  it("is one root where nothing else is asked for", () => {
    const partitions = partitionsOf("x86_64", {}, ids)
    expect(planText(partitions)).toBe(
      `0 rest 4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709 ${ids.root} ${ids.hashSeed} ext4 / root image.options.size_bytes\n`
    )
    expect(fstabOf(partitions, ids)).toBe(
      `PARTUUID=${ids.root}\t/\text4\trw,errors=remount-ro,x-systemd.growfs\t0\t1\n` +
        `PARTUUID=${ids.esp}\t/boot/efi\tvfat\tumask=0077,nofail\t0\t0\n`
    )
  })

  it("has swap and mount points before the root, which has to be last to grow", () => {
    const partitions = partitionsOf("x86_64", {
      swap_bytes: 3 * MiB, mountpoints: [{ mountpoint: "/home", size_bytes: 64 * MiB - 1 }, { mountpoint: "/var/log", size_bytes: 16 * MiB, filesystem: "btrfs" }]
    }, ids)
    expect(partitions.map(({ filesystem, mib, name }) => [name, filesystem, mib])).toEqual([
      ["swap", "swap", 3], ["home", "ext4", 64], ["var-log", "btrfs", 16], ["root", "ext4", undefined]
    ])
    expect(new Set(partitions.flatMap(({ id, seed }) => [id, seed])).size).toBe(8)
  })

  it("takes the inner of nested mount points out first, and mounts it last", () => {
    const partitions = partitionsOf("x86_64", {
      filesystem: "btrfs", mountpoints: [{ mountpoint: "/var", size_bytes: 64 * MiB }, { mountpoint: "/var/log", size_bytes: 16 * MiB }]
    }, ids)
    const mounts = (text: string, column: number) => text.trim().split("\n").map((line) => line.split(/\s/)[column])
    expect(mounts(planText(partitions), 6)).toEqual(["/var/log", "/var", "/"])
    expect(mounts(fstabOf(partitions, ids), 1)).toEqual(["/", "/boot/efi", "/var", "/var/log"])
    expect(fstabOf(partitions, ids)).toContain("\t/\tbtrfs\trw,x-systemd.growfs\t0\t0\n")
  })
})
