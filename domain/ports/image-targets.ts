import { Context, type Effect } from "effect"
import type { Artifact } from "../artifact.ts"
import type { ImageRequest } from "../compose-request.ts"
import type { Credentials } from "../credentials.ts"
import type { ComposeId, Digest, JobId, TenantId } from "../ids.ts"
import type { CloudResource, ImageCopy } from "../image-copy.ts"
import type { Target, TargetOf, TargetType } from "../target.ts"
import type { BuildFailed, Report } from "./image-builder.ts"

/** What everything that is made in a cloud is tagged with, so that it can be found and removed by who made it. */
export interface Marks {
  readonly deployment: string
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  readonly jobId: JobId
}

export interface Delivery<Of extends Target = Target> extends Marks {
  /** The same in every attempt of a job and in no other job: lower-case letters, digits and hyphens, 40 at most. Names come from it. */
  readonly deliveryId: string
  readonly distribution: string
  readonly image: ImageRequest
  readonly artifact: Artifact
  readonly target: Of
  /** Absent where the target needs none, or the worker has an identity of its own for it. */
  readonly credentials: Credentials | undefined
  /** The file as `format` wants it, and its bytes: read it, and nothing else. */
  readonly path: string
  readonly size: number
  /** SHA-256 of that file in hex. */
  readonly sha256: string
  /** What is known of the image, signed for the manifest that it has in a registry; absent where nobody can be asked. Only `oci` asks. */
  readonly attest?: (manifest: Digest) => Effect.Effect<ReadonlyArray<ImageDocument>, BuildFailed>
}

/** Something said of an image that goes where the image goes. */
export interface ImageDocument {
  readonly name: string
  readonly artifactType: string
  readonly annotations: Readonly<Record<string, string>>
  readonly bytes: Uint8Array
}

/** What earlier attempts of the same job on this worker have noted. A note is on disk when `note` answers. */
export interface Journal {
  read(step: string): unknown
  note(step: string, value: unknown): Effect.Effect<void, BuildFailed>
}

/** Something that would keep an image from being delivered. */
export interface Obstacle {
  /** What was tried, such as `s3:PutObject`. */
  readonly what: string
  /** What came of it, in the provider's words. */
  readonly problem: string
}

/** A thing with the marks of this deployment on it. */
export interface Marked {
  readonly resource: CloudResource
  readonly marks: Marks
  /** Milliseconds since 1970, where the provider tells. */
  readonly madeAt: number | undefined
}

/** A way to deliver images. One folder a target; provider SDKs are imported at first use. */
export interface ImageTarget<Of extends Target = Target> {
  readonly type: Of["type"]
  /** The file format that the upload needs of an artifact, or `undefined` if it takes it as it is; `BuildFailed` of class `user` if none would do. */
  format(delivery: Pick<Delivery<Of>, "artifact" | "image" | "target">): Effect.Effect<string | undefined, BuildFailed>
  /**
   * From where the last attempt stopped: what was sent is not sent again, what was made is found and not made twice. Failures
   * have the provider's code and message. Interruption stops it at once and leaves what is there for `remove` or the reaper.
   */
  deliver(delivery: Delivery<Of>, journal: Journal, report: Report): Effect.Effect<ImageCopy, BuildFailed>
  /** Removes what a copy is made of, and what an unfinished delivery has left behind; what is gone already counts as removed. */
  remove(target: Of, resources: ReadonlyArray<CloudResource>, credentials: Credentials | undefined): Effect.Effect<void, BuildFailed>
  /** Tries what a delivery would do, and leaves nothing behind. */
  check(target: Of, credentials: Credentials | undefined): Effect.Effect<ReadonlyArray<Obstacle>, BuildFailed>
  /** Everything of this deployment in the target's account, region and bucket, complete or not. */
  marked(target: Of, credentials: Credentials | undefined, deployment: string): Effect.Effect<ReadonlyArray<Marked>, BuildFailed>
  /** A link that lets its holder download the copy, for so many seconds; targets without one have none. */
  link?(target: Of, copy: ImageCopy, credentials: Credentials | undefined, seconds: number): Effect.Effect<string, BuildFailed>
}

export class ImageTargets extends Context.Service<ImageTargets, {
  get<Type extends TargetType>(type: Type): ImageTarget<TargetOf<Type>> | undefined
}>()("domain/ports/ImageTargets") {}
