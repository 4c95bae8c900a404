import { Schema } from "effect"
import { ParameterName } from "../../domain/parameters.ts"
import { line, matching } from "../../domain/text.ts"
import { AbsolutePath, Environment, entryOf, Program } from "../builders/entry.ts"
import { type DiskFormat, diskFormats } from "../formats/convert.ts"

const optional = Schema.optionalKey
const Element = matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/u, "the name of an element, such as debian-minimal")
const Elements = Schema.NonEmptyArray(Element)

/** disk-image-create's name of a format, and how its files end. */
export const dibFormats = {
  tar: ["tar", "tar"], "tar.gz": ["tgz", "tgz"], squashfs: ["squashfs", "squash"], qcow2: ["qcow2", "qcow2"], raw: ["raw", "raw"],
  vmdk: ["vmdk", "vmdk"], vhdx: ["vhdx", "vhdx"]
} as const

const Format = Schema.Literals([...new Set([...Object.keys(dibFormats), ...Object.keys(diskFormats)])])
export const isDibFormat = (format: string): format is keyof typeof dibFormats => Object.hasOwn(dibFormats, format)
export const isDiskFormat = (format: string): format is DiskFormat => Object.hasOwn(diskFormats, format)

export const DibDistribution = entryOf("diskimage-builder", {
  format: Format,
  /** Beside those of the distribution. */
  elements: optional(Elements),
  /** Kiln makes the disk of the tree, since that needs no device mapper; for trees with a kernel, systemd and an initrd. */
  assemble: optional(Schema.Boolean),
  env: optional(Environment),
  /** The variables that the image type's parameters become. */
  parameter_env: optional(Schema.Record(ParameterName, matching(/^(DIB|ELEMENT)_[A-Z0-9_]{1,120}$/u, "a variable whose name begins with DIB_ or ELEMENT_")))
}, {
  program: optional(Program),
  elements: Elements,
  elements_path: optional(Schema.NonEmptyArray(AbsolutePath)),
  /** DIB_RELEASE. */
  release: optional(line(64))
}).check(Schema.makeFilter(({ architectures }) => {
  for (const [architecture, types] of Object.entries(architectures)) {
    for (const [type, { assemble = false, format }] of Object.entries(types ?? {})) {
      if (!(assemble ? isDiskFormat : isDibFormat)(format)) {
        const formats = Object.keys(assemble ? diskFormats : dibFormats).join(", ")
        return { path: ["architectures", architecture, type, "format"], issue: `${assemble ? "a disk that Kiln makes" : "what disk-image-create makes"} is one of ${formats}` }
      }
    }
  }
  return true
}))
export type DibDistribution = typeof DibDistribution.Type
export type DibType = NonNullable<DibDistribution["architectures"]["x86_64"]>[string]
