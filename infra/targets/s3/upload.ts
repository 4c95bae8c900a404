/** One file as one object: in parts, several at a time, from where the last attempt stopped. */
import { type FileHandle, open } from "node:fs/promises"
import { Effect } from "effect"
import { BuildFailed, type Report } from "../../../domain/ports/image-builder.ts"
import type { Journal } from "../../../domain/ports/image-targets.ts"
import { readBuffer } from "../../files/read-buffer.ts"
import { targetFailed } from "../failures.ts"
import type { S3 } from "./client.ts"
import { putParts } from "./multipart-upload.ts"
import { described, isThere, type ObjectUpload } from "./object-upload.ts"
import { SentBytes } from "./sent-bytes.ts"

const mebi = 1 << 20

export interface Uploaded {
  /** Over all attempts that are in the journal. */
  readonly bytesSent: number
}

/** In bytes, so that there are 10,000 parts at most. */
export const partSizeFor = (size: number, least = 16 * mebi): number =>
  Math.max(least, Math.ceil(Math.ceil(size / 10_000) / mebi) * mebi)

/** Whether what was sent is not sent again depends on the store's list of parts; the journal only knows which upload it is. */
export const uploadObject = Effect.fn("s3.uploadObject")(function*(
  s3: S3, upload: ObjectUpload, journal: Journal, report: Report
): Effect.fn.Return<Uploaded, BuildFailed> {
  const sent = new SentBytes(journal)
  if (yield* isThere(s3, upload)) return { bytesSent: sent.total }
  const partSize = partSizeFor(upload.size, upload.partSize)
  const file = Effect.acquireRelease(
    Effect.tryPromise({ try: () => open(upload.path, "r"), catch: (error) => targetFailed("reading the image", error) }),
    (handle) => Effect.promise(() => handle.close().catch(() => {}))
  )
  yield* Effect.scoped(Effect.flatMap(file, (handle) =>
    upload.size <= partSize
      ? putWhole(s3, upload, handle, sent, report)
      : putParts(s3, upload, partSize, handle, sent, journal, report)))
  return { bytesSent: sent.total }
})

const putWhole = Effect.fnUntraced(function*(
  { call, client, sdk }: S3, upload: ObjectUpload, file: FileHandle, sent: SentBytes, report: Report
) {
  const { bucket: Bucket, key: Key, size } = upload
  report.progress({ stage: "upload", percent: 0, bytesDone: 0, bytesTotal: size })
  const bytes = yield* readWhole(file, size)
  yield* call("s3:PutObject", (abort) => client.send(new sdk.PutObjectCommand({
    Bucket, Key, Body: bytes, ContentLength: size, ...described(upload)
  }), abort))
  yield* sent.add(size)
  report.progress({ stage: "upload", percent: 100, bytesDone: size, bytesTotal: size })
})

const readWhole = (file: FileHandle, size: number): Effect.Effect<Buffer, BuildFailed> =>
  Effect.tryPromise({
    try: async () => {
      const buffer = readBuffer(size)
      let at = 0
      while (at < size) {
        const { bytesRead } = await file.read(buffer, at, size - at, at)
        if (bytesRead === 0) throw new BuildFailed({ class: "platform", message: "the image is shorter than it was" })
        at += bytesRead
      }
      return buffer.subarray(0, size)
    },
    catch: (error) => targetFailed("reading the image", error)
  })
