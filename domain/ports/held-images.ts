import { Context, type Effect, Schema, type Scope } from "effect"
import type { Artifact } from "../artifact.ts"
import type { Digest } from "../ids.ts"
import type { BuiltFile } from "./image-builder.ts"

export class HeldImagesUnavailable extends Schema.TaggedError<HeldImagesUnavailable>()("HeldImagesUnavailable", { message: Schema.String }) {}

/** Images that this worker has built and still has, by the manifest they were built from. */
export class HeldImages extends Context.Service<HeldImages, {
  find(manifest: Digest): Effect.Effect<Artifact | undefined, HeldImagesUnavailable>
  /**
   * One at a time may make the image of a manifest, of all workers that share what is kept here, until the scope ends or the
   * worker does. `onWait` is told when another has begun.
   */
  turn(manifest: Digest, onWait: () => void): Effect.Effect<void, HeldImagesUnavailable, Scope.Scope>
  /** Takes a built file over; it is gone from where it was. */
  keep(manifest: Digest, file: BuiltFile): Effect.Effect<Artifact, HeldImagesUnavailable>
  /** Keeps what is said of a manifest's image beside it. */
  annotate(manifest: Digest, text: string): Effect.Effect<void, HeldImagesUnavailable>
  annotation(manifest: Digest): Effect.Effect<string | undefined, HeldImagesUnavailable>
  /** Where the bytes of an artifact lie, or `undefined` if they are not here. */
  path(digest: Digest): Effect.Effect<string | undefined, HeldImagesUnavailable>
  /** Removes the bytes of an artifact; nothing happens if they are not here. */
  drop(digest: Digest): Effect.Effect<void, HeldImagesUnavailable>
  /** Compares what an earlier run has left with its digests and removes what is something else. */
  readonly check: Effect.Effect<void, HeldImagesUnavailable>
  /** What is here and was compared, or was made by this run. */
  readonly held: Effect.Effect<ReadonlyArray<Digest>>
}>()("domain/ports/HeldImages") {}
