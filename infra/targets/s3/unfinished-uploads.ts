/** Multipart uploads that have begun and are neither completed nor aborted: the store keeps, and charges for, their parts. */
import type { ListMultipartUploadsCommandOutput } from "@aws-sdk/client-s3"
import { Effect } from "effect"
import { orAbsent, type S3 } from "./client.ts"

interface Unfinished {
  readonly key: string
  readonly uploadId: string
  /** Milliseconds since 1970. */
  readonly at: number
  /** What its parts promise, where the store says so. */
  readonly sums?: string | undefined
}

/** Of this key and no longer one; who may not list them is told of none. */
export const unfinishedOf = (s3: S3, bucket: string, key: string) =>
  unfinished(s3, bucket, key).pipe(
    Effect.map((found) => found.filter((each) => each.key === key)),
    Effect.catchIf((failed) => failed.class === "user", () => Effect.succeed([] as ReadonlyArray<Unfinished>))
  )

interface Marks {
  readonly KeyMarker?: string
  readonly UploadIdMarker?: string
}

/** Of all keys that begin so. */
export const unfinished = Effect.fnUntraced(function*({ call, client, sdk }: S3, bucket: string, prefix: string) {
  const found: Array<Unfinished> = []
  const pageFrom = (from: Marks) => call("s3:ListBucketMultipartUploads", (abort) =>
    client.send(new sdk.ListMultipartUploadsCommand({ Bucket: bucket, Prefix: prefix, ...from }), abort))
  let marks: Marks | undefined = {}
  while (marks !== undefined) {
    const page: ListMultipartUploadsCommandOutput = yield* pageFrom(marks)
    for (const { ChecksumAlgorithm, Initiated, Key, UploadId } of page.Uploads ?? []) {
      found.push({ key: Key!, uploadId: UploadId!, at: Initiated?.getTime() ?? 0, sums: ChecksumAlgorithm })
    }
    marks = page.IsTruncated === true && page.NextKeyMarker !== undefined
      ? { KeyMarker: page.NextKeyMarker, ...(page.NextUploadIdMarker !== undefined && { UploadIdMarker: page.NextUploadIdMarker }) }
      : undefined
  }
  return found
})

export const abortUpload = ({ call, client, sdk }: S3, bucket: string, { key, uploadId }: Pick<Unfinished, "key" | "uploadId">) =>
  call("s3:AbortMultipartUpload", (abort) =>
    orAbsent(() => client.send(new sdk.AbortMultipartUploadCommand({ Bucket: bucket, Key: key, UploadId: uploadId }), abort)))
