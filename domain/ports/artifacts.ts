import { Context, type Effect, Schema, type Stream } from "effect"
import type { Blob } from "../artifact.ts"
import type { Digest } from "../ids.ts"

/** `reason` is a sentence for people; `full` when the disk is. */
export class ArtifactsUnavailable extends Schema.TaggedError<ArtifactsUnavailable>()("ArtifactsUnavailable", {
  message: Schema.String,
  full: Schema.Boolean
}) {}

/** Finished images by their content. */
export class Artifacts extends Context.Service<Artifacts, {
  /** Takes the file in, by link where it can and by copy else; the file itself stays. `digest` is checked by the caller. */
  put(file: string, digest: Digest): Effect.Effect<Blob, ArtifactsUnavailable>
  /** Removes it, unless somebody has put it since that time, in milliseconds since 1970; what is not there counts as removed. */
  remove(digest: Digest, unusedSince: number): Effect.Effect<void, ArtifactsUnavailable>
  /** Where its bytes lie on this machine, to be read and nothing else; `undefined` when there are none. */
  path(digest: Digest): Effect.Effect<string | undefined, ArtifactsUnavailable>
  /** Size in bytes, or `undefined` when there is none. */
  size(digest: Digest): Effect.Effect<number | undefined, ArtifactsUnavailable>
  /** Bytes from `start` up to and with `end`. */
  read(digest: Digest, start: number, end: number): Stream.Stream<Uint8Array, ArtifactsUnavailable>
}>()("domain/ports/Artifacts") {}
