import { Context, type Effect, type Scope } from "effect"
import type { Artifact } from "../artifact.ts"
import type { BuildFailed, Report } from "./image-builder.ts"

/** `sha256` of the file in hex. */
export interface ImageFile {
  readonly path: string
  readonly size: number
  readonly sha256: string
}

/** Held images in the formats that targets want, made once and kept while there is room. */
export class ConvertedImages extends Context.Service<ConvertedImages, {
  /**
   * `path`: where the artifact lies; `format`: another one than its own, or `undefined` for the file itself. It stays while
   * the scope lasts. Of two at a time each makes one.
   */
  take(artifact: Artifact, path: string, format: string | undefined, report: Report): Effect.Effect<ImageFile, BuildFailed, Scope.Scope>
}>()("domain/ports/ConvertedImages") {}
