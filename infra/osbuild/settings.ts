import { Schema } from "effect"
import { line, matching } from "../../domain/text.ts"
import { AbsolutePath, entryOf, Program } from "../builders/entry.ts"

const optional = Schema.optionalKey
const Pipeline = matching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/u, "the name of a pipeline, such as qcow2")

export const OsbuildDistribution = entryOf("osbuild", {
  /** The pipeline whose tree holds the artifact. */
  export: Pipeline,
  /** The artifact in that tree; may be left out where there is one file only. */
  file: optional(matching(/^(?!\/)(?!(.*\/)?\.\.?(\/|$))[^\u0000-\u001f\u007f]{1,1024}$/u, "a path without . and .. in the exported tree")),
  format: matching(/^[a-z0-9][a-z0-9.+-]{0,31}$/u, "a format, such as qcow2"),
  /** A manifest that is there already. */
  manifest: optional(AbsolutePath),
  /** Or, with `image_builder`, that tool's name of the type: it makes the manifest of what is asked for. */
  image_builder_type: optional(matching(/^[a-z0-9][a-z0-9._-]{0,63}$/u, "the image-builder tool's name of an image type")),
  checkpoints: optional(Schema.Array(Pipeline))
}, {
  program: optional(Program),
  libdir: optional(AbsolutePath),
  cache_size: optional(matching(/^(unlimited|[0-9]+( ?(kB|KiB|MB|MiB|GB|GiB|TB|TiB))?)$/u, "a size, such as 10GiB")),
  image_builder: optional(Schema.Struct({ program: optional(Program), distro: line(64), data_dir: optional(AbsolutePath) }))
}).check(Schema.makeFilter(({ architectures, image_builder }) => {
  for (const [architecture, types] of Object.entries(architectures)) {
    for (const [type, { image_builder_type, manifest }] of Object.entries(types ?? {})) {
      const path = ["architectures", architecture, type]
      const isMade = image_builder !== undefined
      if (isMade !== (image_builder_type !== undefined) || isMade !== (manifest === undefined)) {
        return { path, issue: isMade ? "needs an image_builder_type, and no manifest" : "needs a manifest; an image_builder_type goes with image_builder alone" }
      }
    }
  }
  return true
}))
export type OsbuildDistribution = typeof OsbuildDistribution.Type
export type OsbuildType = NonNullable<OsbuildDistribution["architectures"]["x86_64"]>[string]
