/** What type and options of an image mean to the scripts that make it, as data files. Pure. */
import { join } from "node:path"
import type { ImageSpec } from "../../domain/manifest.ts"
import type { DataFile } from "./customization-files.ts"
import type { DiskIds } from "./disk-ids.ts"
import { isDisk, type ImageType } from "./image-types/image-type.ts"
import { fstabOf, partitionsOf, planText } from "./layout.ts"

type Spec = Pick<ImageSpec, "customizations" | "distribution" | "image">

/** Whether it runs the programs that a machine of ours has, or brings what is essential and its own. */
export const isMachine = ({ base }: ImageType) => base !== "minimal"

const serialPort = { x86_64: "ttyS0", aarch64: "ttyAMA0" }

const unitsOf = (type: ImageType, { image: { architecture, options = {} } }: Spec): ReadonlyArray<string> =>
  isMachine(type)
    ? [
      "systemd-networkd", "systemd-resolved", "systemd-timesyncd",
      ...(options.serial === false ? [] : [`serial-getty@${serialPort[architecture]}`]),
      "kiln-grow", "kiln-ready"
    ]
    : []

export const typeFiles = (type: ImageType, spec: Spec, ids: DiskIds): ReadonlyArray<DataFile> => {
  const { architecture, options = {} } = spec.image
  const partitions = partitionsOf(architecture, options, ids)
  return [
    { path: "units", text: unitsOf(type, spec).map((name) => `${name}\n`).join("") },
    ...Object.entries(type.files?.(spec) ?? {}).map(([path, text]) => ({ path: join("type", path), text })),
    ...(isDisk(type.format)
      ? [{ path: "partitions", text: planText(partitions) }, { path: "fstab", text: fstabOf(partitions, ids) }]
      : []),
    ...(options.filesystem === "btrfs" ? [{ path: "initramfs", text: "btrfs\n" }] : [])
  ]
}

/** What the kernel is told when it boots. */
export const kernelArgumentsOf = (type: ImageType, { customizations, image: { architecture, options = {} } }: Spec, ids: DiskIds) =>
  [
    ...(isDisk(type.format) ? [`root=PARTUUID=${ids.root}`, "ro"] : []),
    "console=tty0",
    ...(options.serial === false ? [] : [`console=${serialPort[architecture]},115200`]),
    "quiet",
    ...(type.kernelArguments === undefined ? [] : [type.kernelArguments]),
    ...(customizations.kernel?.append === undefined ? [] : [customizations.kernel.append])
  ].join(" ")
