import { Schema } from "effect"
import { line, matching } from "../../domain/text.ts"
import { AbsolutePath, entryOf, Program } from "../builders/entry.ts"

const optional = Schema.optionalKey

/** mkosi's own names of formats that come as one file, and how those files end. */
export const mkosiFormats = { disk: "raw", tar: "tar", cpio: "cpio", esp: "raw", uki: "efi" } as const

export const MkosiDistribution = entryOf("mkosi", {
  /** `--format`; what mkosi.conf says, where it is left out, has to be a disk then. */
  format: optional(Schema.Literals(Object.keys(mkosiFormats) as Array<keyof typeof mkosiFormats>)),
  compressed: optional(Schema.Literals(["zst", "gz", "xz"])),
  profiles: optional(Schema.Array(matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u, "the name of a profile")))
}, {
  program: optional(Program),
  /** The folder with mkosi.conf. */
  directory: AbsolutePath,
  release: optional(line(64))
})
export type MkosiDistribution = typeof MkosiDistribution.Type
export type MkosiType = NonNullable<MkosiDistribution["architectures"]["x86_64"]>[string]
