/** The disk in S3, from where it is imported; it goes when that is done. */
import { Effect } from "effect"
import type { BuildFailed } from "../../../domain/ports/image-builder.ts"
import type { S3 } from "../s3/client.ts"
import { keyOf, removeFrom } from "../s3/target.ts"
import { uploadObject } from "../s3/upload.ts"
import type { AwsDelivery } from "./plan.ts"
import type { Run } from "./run.ts"

/** Nothing else in the bucket is ours. */
export const prefix = "kiln-import/"

export interface Staging {
  readonly bucket: string
  readonly key: string
  readonly format: "raw" | "vmdk"
  upload(run: Run): Effect.Effect<void, BuildFailed>
  readonly remove: Effect.Effect<void, BuildFailed>
}

/** The upload is the longest part of a delivery: 60 of 100. */
const share = 0.6

export const stagingOf = (s3: S3, delivery: AwsDelivery, partSize?: number): Staging => {
  const { artifact, path, sha256, size, target: { bucket } } = delivery
  const key = keyOf({ prefix }, delivery)
  return {
    bucket, key, format: artifact.format === "vmdk" ? "vmdk" : "raw",
    upload: ({ journal, report }) =>
      Effect.asVoid(uploadObject(s3, { bucket, key, path, size, sha256, ...(partSize !== undefined && { partSize }) }, journal, {
        line: (text) => report.line(text),
        progress: (progress) => report.progress({ ...progress, percent: Math.floor(progress.percent * share) })
      })),
    remove: removeFrom(s3, bucket, { kind: "object", id: key, place: bucket })
  }
}
