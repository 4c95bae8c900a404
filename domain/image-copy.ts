/** An image where it was delivered to. */
import { Schema } from "effect"
import { Digest, Millis } from "./ids.ts"

/** One thing in a cloud that costs money until it is removed. `kind` is the provider's word: `image`, `snapshot`, `object`, `blob`, `manifest`. */
export const CloudResource = Schema.Struct({
  kind: Schema.String,
  id: Schema.String,
  /** Region, bucket, resource group: where `id` means something. */
  place: Schema.optionalKey(Schema.String)
})
export type CloudResource = typeof CloudResource.Type

/** `id` is what people use: `ami-…`, an image's name, a reference with its digest, an object's key. */
export const ImageCopy = Schema.Struct({
  id: Schema.String,
  place: Schema.optionalKey(Schema.String),
  /** For people; no secret, no signature in it. */
  url: Schema.optionalKey(Schema.String),
  /** The bytes that lie there, where that is known: of the file as it was converted for the target. */
  digest: Schema.optionalKey(Digest),
  format: Schema.String,
  /** In the order in which they have to go. */
  resources: Schema.Array(CloudResource),
  /** Bytes that went over the wire in all attempts that this worker knows of. */
  bytesSent: Schema.Int,
  deliveredAt: Millis
})
export type ImageCopy = typeof ImageCopy.Type
