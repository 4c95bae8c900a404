/** What an export is made of: one file that names the manifest of each stream. */
import { Schema } from "effect"
import { Digest } from "../../domain/ids.ts"
import { Layout } from "../../domain/periods.ts"
import { BlobLists } from "./blob-files.ts"
import { digestOf, type Place } from "./place.ts"

export const Export = Schema.Struct({
  /** 2 where it has blobs, 3 where it has stored files too. */
  version: Schema.Literals([1, 2, 3]),
  at: Schema.Int,
  layout: Schema.optionalKey(Layout),
  /** In an order in which they can be stored again: what a sealed stream's aggregates decided later comes behind it. */
  streams: Schema.Array(Schema.Struct({ stream: Schema.String, sealed: Schema.Boolean, manifest: Digest, entries: Schema.Int, bytes: Schema.Int })),
  blobs: Schema.optionalKey(BlobLists),
  files: Schema.optionalKey(BlobLists)
})
export type Export = typeof Export.Type

const Json = Schema.fromJsonString(Export)
const [encode, decode] = [Schema.encodeSync(Json), Schema.decodeUnknownSync(Json)]
const name = "export.json"

export const putExport = (place: Place, made: Export) => place.put(name, Buffer.from(`${encode(made)}\n`))

/** With the digest of the file, by which it is known again. */
export const getExport = async (place: Place): Promise<Export & { readonly digest: Digest }> => {
  const bytes = await place.get(name)
  if (bytes === undefined) throw new Error(`there is no ${name} in ${place.words}`)
  return { ...decode(Buffer.from(bytes).toString()), digest: digestOf(bytes) }
}
