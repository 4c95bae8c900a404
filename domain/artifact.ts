import { Schema } from "effect"
import { Digest } from "./ids.ts"
import { storable } from "./text.ts"

/** Bytes in the content-addressed store; `size` in bytes. */
export const Blob = Schema.Struct({ digest: Digest, size: Schema.Int })
export type Blob = typeof Blob.Type

/** The file that a build made. `format` is the disk or archive format; `filename` is what a download is called. */
export const Artifact = Schema.Struct({
  digest: Digest,
  size: Schema.Int,
  format: Schema.String,
  filename: Schema.String,
  mediaType: Schema.String
})
export type Artifact = typeof Artifact.Type

/** Versions by name. */
export const ToolVersions = Schema.Record(Schema.String.check(Schema.isMaxLength(100)), Schema.String.check(Schema.isMaxLength(200)))
  .check(Schema.isMaxProperties(64))

/** Why there is no bill of materials, as a clause. */
export const NoBill = storable(500)

/** What is said of an image beside its bytes: bills of materials, and which versions of which programs made it. */
export const Evidence = Schema.Struct({
  spdx: Schema.optionalKey(Blob),
  cyclonedx: Schema.optionalKey(Blob),
  tools: Schema.optionalKey(ToolVersions),
  noBill: Schema.optionalKey(NoBill)
})
export type Evidence = typeof Evidence.Type
