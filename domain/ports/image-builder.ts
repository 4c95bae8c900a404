import { Context, type Effect, Schema } from "effect"
import { FailureClass } from "../failure-class.ts"
import type { Architecture, Digest } from "../ids.ts"
import type { ImageSpec, Lock, Manifest } from "../manifest.ts"
import type { Parameter } from "../parameters.ts"

/** How a builder says no or gives up. `class` decides whether another attempt makes sense. */
export class BuildFailed extends Schema.TaggedError<BuildFailed>()("BuildFailed", {
  class: FailureClass,
  message: Schema.String,
  /** The end of what the failing tool printed. */
  excerpt: Schema.optionalKey(Schema.String),
  /** Whoever refused has asked to be left alone for so long. */
  retryAfterMs: Schema.optionalKey(Schema.Int)
}) {}

/** Where a job is: `percent` of the whole job (0–100), bytes of the current stage where they are known. */
export interface Progress {
  readonly stage: string
  readonly percent: number
  readonly bytesDone?: number
  readonly bytesTotal?: number
  /** How fast, where that is known. */
  readonly bytesPerSecond?: number
}

/** Where a running job says what it does. Both return at once and never fail. */
export interface Report {
  progress(progress: Progress): void
  line(text: string): void
}

/** Secrets of this job in clear, by the place they belong to, such as `users.admin.password`. Memory only. */
export type Secrets = ReadonlyMap<string, string>

/** Where the stored files lie that the customizations name by digest; read only. */
export type FilesByDigest = ReadonlyMap<Digest, string>

/** A file in the job's workspace, not yet in any store. */
export interface BuiltFile {
  readonly path: string
  readonly format: string
  readonly filename: string
  readonly mediaType: string
  /** A file in the workspace with an `Inventory` as JSON, from a builder that can look into what it has made. */
  readonly inventory?: string
  /** Why there is none, as a clause; whoever reads the evidence is told. */
  readonly noBill?: string
}

export interface DistributionInfo {
  readonly id: string
  readonly name: string
  readonly builder: string
  /** Whether images of it need a lock, made by `resolve`, before they can be built. */
  readonly resolves: boolean
  /** Whether the same manifest always gives the same image, so that a build can be verified by another. */
  readonly reproducible?: true
  /** Whether files may be named by their digests. */
  readonly filesByDigest?: true
  /** The customizations that its images can have, by their keys; absent: all. Others are refused when they are asked for. */
  readonly customizations?: ReadonlyArray<string>
  readonly architectures: ReadonlyArray<{
    readonly architecture: Architecture
    readonly imageTypes: ReadonlyArray<ImageTypeInfo>
  }>
}

export interface ImageTypeInfo {
  readonly type: string
  readonly description: string
  /** Keys that `images[].options` may have. */
  readonly options: ReadonlyArray<string>
  /** Whether its file is a disk that an emulator boots, and so can be tested. */
  readonly bootable: boolean
  /** Whether its file is a disk, of which clouds can make machines; as `bootable` unless said. */
  readonly disk?: boolean
  /** Customizations that mean nothing to such an image, by their paths, such as `kernel.append`, and why in a sentence. */
  readonly unfit?: Readonly<Record<string, string>>
  /** Its machines get user data of their own, which goes before what the image brings: that is a #cloud-config or a program, nothing else. */
  readonly ownUserData?: true
  /** What `options.parameters` may hold, where `options` has that key. */
  readonly parameters?: Readonly<Record<string, Parameter>>
}

/** A way to make images. One folder a builder; `ImageBuilders` picks by name. */
export interface ImageBuilder {
  readonly name: string
  /** All that it can make, wherever what it needs is there. Gateway and workers know it from here. */
  readonly offers: ReadonlyArray<DistributionInfo>
  /** What of that cannot be made on this machine, by distribution, and why, in a sentence. A short trial; asked when a worker starts. */
  readonly obstacles: Effect.Effect<ReadonlyMap<string, string>>
  /** Builds even what was built before; otherwise an artifact of the same manifest stands in for a build. */
  readonly alwaysBuilds?: true
  /** Of all of its own that decides what is in an image: by another one the same manifest may give other bytes. Absent: that is never so. */
  readonly revision?: string
  /** Something in its images answers a boot test; of others only a login prompt can be waited for. */
  readonly answersTests?: true
  /** Exact packages for a spec. Network is used here, as little as may be, and in `build` for fetching what the lock names. */
  resolve(spec: ImageSpec, workspace: string, report: Report): Effect.Effect<Lock, BuildFailed>
  /** Makes the artifact in `workspace`, an empty folder that the caller removes. Interruption ends every process it began. */
  build(manifest: Manifest, secrets: Secrets, workspace: string, report: Report, files?: FilesByDigest): Effect.Effect<BuiltFile, BuildFailed>
}

export class ImageBuilders extends Context.Service<ImageBuilders, {
  readonly builders: ReadonlyMap<string, ImageBuilder>
}>()("domain/ports/ImageBuilders") {}
