import { Context, type Effect, Schema } from "effect"
import type { Blob } from "../artifact.ts"
import type { Digest } from "../ids.ts"

export class BlobsUnavailable extends Schema.TaggedError<BlobsUnavailable>()("BlobsUnavailable", { message: Schema.String }) {}

/** What is too big for an event and too small for the artifact store: locks, archived logs, SBOMs. Named by their content. */
export class Blobs extends Context.Service<Blobs, {
  /** Storing the same bytes again is cheap and changes nothing. */
  put(bytes: Uint8Array): Effect.Effect<Blob, BlobsUnavailable>
  has(digest: Digest): Effect.Effect<boolean, BlobsUnavailable>
  /** `undefined` when there is no such blob. */
  get(digest: Digest): Effect.Effect<Uint8Array | undefined, BlobsUnavailable>
}>()("domain/ports/Blobs") {}
