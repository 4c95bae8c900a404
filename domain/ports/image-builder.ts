import { Context, type Effect, Schema } from "effect"
import { FailureClass } from "../compose-request.ts"
import type { Architecture } from "../ids.ts"
import type { ImageSpec, Lock, Manifest } from "../manifest.ts"

/** How a builder says no or gives up. `class` decides whether another attempt makes sense. */
export class BuildFailed extends Schema.TaggedError<BuildFailed>()("BuildFailed", {
  class: FailureClass,
  message: Schema.String,
  /** The end of what the failing tool printed. */
  excerpt: Schema.optionalKey(Schema.String)
}) {}

/** Where a job is: `percent` of the whole job (0–100), bytes of the current stage where they are known. */
export interface Progress {
  readonly stage: string
  readonly percent: number
  readonly bytesDone?: number
  readonly bytesTotal?: number
}

/** Where a running job says what it does. Both return at once and never fail. */
export interface Report {
  progress(progress: Progress): void
  line(text: string): void
}

/** Secrets of this job in clear, by the place they belong to, such as `users.admin.password`. Memory only. */
export type Secrets = ReadonlyMap<string, string>

/** A file in the job's workspace, not yet in any store. */
export interface BuiltFile {
  readonly path: string
  readonly format: string
  readonly filename: string
  readonly mediaType: string
}

export interface DistributionInfo {
  readonly id: string
  readonly name: string
  readonly builder: string
  /** Whether images of it need a lock, made by `resolve`, before they can be built. */
  readonly resolves: boolean
  readonly architectures: ReadonlyArray<{
    readonly architecture: Architecture
    readonly imageTypes: ReadonlyArray<{ readonly type: string; readonly description: string; readonly options: ReadonlyArray<string> }>
  }>
}

/** A way to make images. One file a builder; `ImageBuilders` picks by name. */
export interface ImageBuilder {
  readonly name: string
  /** Builds even what was built before; otherwise an artifact of the same manifest stands in for a build. */
  readonly alwaysBuilds?: true
  /** Exact packages for a spec. Network is used here, as little as may be, and in `build` for fetching what the lock names. */
  resolve(spec: ImageSpec, workspace: string, report: Report): Effect.Effect<Lock, BuildFailed>
  /** Makes the artifact in `workspace`, an empty folder that the caller removes. Interruption ends every process it began. */
  build(manifest: Manifest, secrets: Secrets, workspace: string, report: Report): Effect.Effect<BuiltFile, BuildFailed>
}

export class ImageBuilders extends Context.Service<ImageBuilders, {
  readonly builders: ReadonlyMap<string, ImageBuilder>
}>()("domain/ports/ImageBuilders") {}
