/** One file as one multipart upload, begun or gone on with, until it is an object. */
import type { FileHandle } from "node:fs/promises"
import { Effect } from "effect"
import { BuildFailed, type Report } from "../../../domain/ports/image-builder.ts"
import type { Journal } from "../../../domain/ports/image-targets.ts"
import { orAbsent, type S3 } from "./client.ts"
import { described, isThere, type ObjectUpload } from "./object-upload.ts"
import { sendParts, type SentPart, type Started } from "./send-parts.ts"
import type { SentBytes } from "./sent-bytes.ts"
import { abortUpload, unfinishedOf } from "./unfinished-uploads.ts"

export const putParts = Effect.fnUntraced(function*(
  s3: S3, upload: ObjectUpload, partSize: number, file: FileHandle, sent: SentBytes, journal: Journal, report: Report
) {
  for (let again = 0; again < 2; again += 1) {
    const started = (yield* resumed(s3, upload, partSize, journal)) ?? (yield* start(s3, upload, partSize, journal))
    const done = yield* sendParts(s3, upload, started, file, sent, report)
    // Where it is gone, somebody has completed it, or it was swept away.
    const isDone = (done !== undefined && (yield* complete(s3, upload, started, done))) || (yield* isThere(s3, upload))
    if (isDone) return yield* sweep(s3, upload)
    yield* journal.note("upload", null)
  }
  return yield* new BuildFailed({ class: "target-fault", message: `s3:UploadPart: the upload to ${upload.bucket} was removed while it went on` })
})

/** The upload that an attempt before has begun: by the journal, or, where that is lost, by its key. */
const resumed = Effect.fnUntraced(function*(s3: S3, { bucket, key, sha256 }: ObjectUpload, partSize: number, journal: Journal) {
  const noted = journal.read("upload") as Started | undefined | null
  if (noted) {
    const isOfThis = noted.bucket === bucket && noted.key === key && noted.partSize === partSize && noted.sha256 === sha256
    return isOfThis && noted.sums === "SHA256" ? noted : undefined
  }
  // Noted as nothing: what was found is known to be of no use.
  if (noted === null) return undefined
  const [newest] = (yield* unfinishedOf(s3, bucket, key))
    .filter(({ sums }) => sums === undefined || sums === "SHA256")
    .toSorted((one, other) => other.at - one.at)
  if (newest === undefined) return undefined
  const started: Started = { bucket, key, uploadId: newest.uploadId, partSize, sha256, sums: "SHA256" }
  yield* journal.note("upload", started)
  return started
})

const start = Effect.fnUntraced(function*({ call, client, sdk }: S3, upload: ObjectUpload, partSize: number, journal: Journal) {
  const { bucket, key, sha256 } = upload
  const { UploadId: uploadId } = yield* call("s3:CreateMultipartUpload", (abort) => client.send(new sdk.CreateMultipartUploadCommand({
    Bucket: bucket, Key: key, ChecksumAlgorithm: "SHA256", ...described(upload)
  }), abort))
  const started: Started = { bucket, key, uploadId: uploadId!, partSize, sha256, sums: "SHA256" }
  yield* journal.note("upload", started)
  return started
})

/** Whether it is an object now. Where an answer was lost, the second try finds no such upload. */
const complete = ({ call, client, sdk }: S3, { bucket, key }: ObjectUpload, { uploadId }: Started, parts: ReadonlyArray<SentPart>) =>
  Effect.map(
    call("s3:CompleteMultipartUpload", (abort) => orAbsent(() => client.send(new sdk.CompleteMultipartUploadCommand({
      Bucket: bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts: [...parts] }
    }), abort))),
    (answer) => answer !== undefined
  )

/** An upload whose beginning was done but not heard of was begun a second time. */
const sweep = Effect.fnUntraced(function*(s3: S3, { bucket, key }: ObjectUpload) {
  const others = yield* unfinishedOf(s3, bucket, key)
  yield* Effect.forEach(others, (other) => abortUpload(s3, bucket, other), { discard: true })
})
