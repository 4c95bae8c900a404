/** What makes one image type differ from another. */
import { diskFormats, type DiskFormat } from "../../formats/convert.ts"
import type { ImageOptions } from "../../../domain/image-options.ts"
import type { ImageSpec } from "../../../domain/manifest.ts"

/**
 * What the tree holds before anything is asked for: a virtual machine, one that asks a cloud who it is, a machine of any
 * hardware that runs from a read-only root, or only what is essential. Images of one base share one cached tree.
 */
export type Base = "virtual" | "cloud" | "live" | "minimal"

export const treeFormats = {
  "tar.gz": { extension: "tar.gz", mediaType: "application/gzip" },
  /** An archive of an OCI layout, which Docker loads as well. */
  oci: { extension: "oci.tar", mediaType: "application/x-tar" },
  /** Kernel, initramfs and a squashfs of the root, in an archive. */
  netboot: { extension: "tar", mediaType: "application/x-tar" },
  iso: { extension: "iso", mediaType: "application/x-iso9660-image" }
} as const
export type TreeFormat = keyof typeof treeFormats

export type Family = "debian" | "ubuntu"

export interface ImageType {
  readonly name: string
  readonly description: string
  readonly base: Base
  /** On top of the base, as each family of distributions calls them. */
  readonly packages?: (family: Family) => ReadonlyArray<string>
  /** Text by path below the root; a request's own files come later. */
  readonly files?: (spec: ImageSpec) => Readonly<Record<string, string>>
  /** Beyond what every kernel of ours is told. */
  readonly kernelArguments?: string
  readonly format: DiskFormat | TreeFormat
  /** Sizes are multiples of it. */
  readonly wholeBytes?: number
  readonly options: ReadonlyArray<keyof ImageOptions>
  /** Whether an emulator boots what it holds. */
  readonly bootable: boolean
  /** Customizations that mean nothing to it, by their paths, and why. */
  readonly unfit?: Readonly<Record<string, string>>
}

export const diskOptions: ImageType["options"] = [
  "size_bytes", "filesystem", "partitioning", "swap_bytes", "mountpoints", "serial"
]

/** Whether its machines ask a cloud or a hypervisor for their user data. */
export const asksCloud = ({ base }: ImageType): boolean => base === "cloud"

export const isDisk = (format: ImageType["format"]): format is DiskFormat => format in diskFormats

export const fileOf = ({ format }: ImageType): { readonly extension: string; readonly mediaType: string } =>
  isDisk(format) ? diskFormats[format] : treeFormats[format]
