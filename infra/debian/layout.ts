/** What lies where on a disk, behind the partition that it boots from. Pure. */
import type { FileSystem, ImageOptions } from "../../domain/image-options.ts"
import type { Architecture } from "../../domain/ids.ts"
import type { DiskIds } from "./disk-ids.ts"

export interface Partition {
  /** In the partition table. */
  readonly name: string
  readonly type: string
  readonly id: string
  readonly seed: string
  /** The root, last of all, has what is left. */
  readonly mib: number | undefined
  readonly filesystem: FileSystem | "swap"
  readonly mountpoint: string | undefined
  /** Who asked for it. */
  readonly field: string
}

/** How systemd and other tools tell partitions apart. */
const rootType: Record<Architecture, string> = {
  x86_64: "4F68BCE3-E8CD-4DB1-96E7-FBCAF984B709",
  aarch64: "B921B045-1DF0-41C3-AF44-4C6F280D3FAE"
}
const swapType = "0657FD6D-A4AB-43C4-84E5-0933C84B4F4F"
const dataType = "0FC63DAF-8483-4772-8E79-3D69D8477DE4"

const mibOf = (bytes: number) => Math.ceil(bytes / 2 ** 20)

/** In the order of the disk: the root can only grow into what comes after it. */
export const partitionsOf = (architecture: Architecture, options: ImageOptions, ids: DiskIds): ReadonlyArray<Partition> => [
  ...(options.swap_bytes === undefined
    ? []
    : [{
      name: "swap", type: swapType, id: ids.of("swap"), seed: ids.of("swap hash seed"), mib: mibOf(options.swap_bytes),
      filesystem: "swap" as const, mountpoint: undefined, field: "image.options.swap_bytes"
    }]),
  ...(options.mountpoints ?? []).map(({ filesystem = "ext4", mountpoint, size_bytes }, index) => ({
    name: mountpoint.slice(1).replaceAll("/", "-").slice(0, 36), type: dataType, id: ids.of(mountpoint), seed: ids.of(`${mountpoint} hash seed`),
    mib: mibOf(size_bytes), filesystem, mountpoint, field: `image.options.mountpoints[${index}]`
  })),
  {
    name: "root", type: rootType[architecture], id: ids.root, seed: ids.hashSeed, mib: undefined, filesystem: options.filesystem ?? "ext4",
    mountpoint: "/", field: "image.options.size_bytes"
  }
]

const depth = ({ mountpoint = "" }: Partition) => mountpoint.split("/").length

/** For disk.sh, a partition a line; of nested mount points the inner comes first, since its tree is taken out first. */
export const planText = (partitions: ReadonlyArray<Partition>): string =>
  [...partitions].map((partition, index) => ({ ...partition, index }))
    .sort((a, b) => Number(a.mib === undefined) - Number(b.mib === undefined) || depth(b) - depth(a))
    .map(({ field, filesystem, id, index, mib = "rest", mountpoint = "-", name, seed, type }) =>
      `${[index, mib, type, id, seed, filesystem, mountpoint, name, field].join(" ")}\n`)
    .join("")

/** ext4 goes read-only where the disk fails; only the root grows, and it is checked first. */
const line = ({ filesystem, id, mountpoint, mib }: Partition): string => {
  const fields = mountpoint === undefined
    ? ["none", "swap", "sw", "0", "0"]
    : [
      mountpoint, filesystem,
      ["rw", ...(filesystem === "ext4" ? ["errors=remount-ro"] : []), ...(mib === undefined ? ["x-systemd.growfs"] : [])].join(","),
      "0", filesystem !== "ext4" ? "0" : mountpoint === "/" ? "1" : "2"
    ]
  return `${[`PARTUUID=${id}`, ...fields].join("\t")}\n`
}

export const fstabOf = (partitions: ReadonlyArray<Partition>, ids: DiskIds): string => {
  const root = partitions.filter(({ mountpoint }) => mountpoint === "/")
  const others = partitions.filter(({ mountpoint }) => mountpoint !== "/").sort((a, b) => depth(a) - depth(b))
  return `${root.map(line).join("")}PARTUUID=${ids.esp}\t/boot/efi\tvfat\tumask=0077,nofail\t0\t0\n${others.map(line).join("")}`
}
