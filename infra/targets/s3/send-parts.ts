/** The parts of one multipart upload, several at a time, without those that the store has already. */
import type { FileHandle } from "node:fs/promises"
import { Effect } from "effect"
import type { BuildFailed, Report } from "../../../domain/ports/image-builder.ts"
import { readBuffer } from "../../files/read-buffer.ts"
import { targetFailed } from "../failures.ts"
import { isAbsent, orAbsent, type S3 } from "./client.ts"
import type { ObjectUpload } from "./object-upload.ts"
import { hashOf, PartBody, pieceBytes, sendsAnew } from "./part-body.ts"
import type { SentBytes } from "./sent-bytes.ts"

/** A multipart upload, as the journal has it. */
export interface Started {
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
  /** Bytes; the last part may be smaller. */
  readonly partSize: number
  readonly sha256: string
  /** Each part has the sum that was promised when the upload was begun; those of before promised another. */
  readonly sums?: "SHA256"
}

/** What completes an upload: a part that the store has. */
export interface SentPart {
  readonly PartNumber: number
  readonly ETag: string
  readonly ChecksumSHA256?: string
}

interface Part {
  readonly number: number
  readonly start: number
  readonly size: number
}

/** Every part once, in any order; `undefined` if the store knows this upload no more. */
export const sendParts = Effect.fnUntraced(function*(
  s3: S3, upload: ObjectUpload, started: Started, file: FileHandle, sent: SentBytes, report: Report
) {
  const present = yield* listParts(s3, started)
  if (present === undefined) return undefined
  const parts = partsOf(upload.size, started.partSize)
  const done: Array<SentPart> = []
  let bytesDone = 0
  let next = 0
  let isGone = false
  const say = () =>
    report.progress({ stage: "upload", percent: Math.floor((bytesDone / upload.size) * 100), bytesDone, bytesTotal: upload.size })
  say()
  const lane = Effect.gen(function*() {
    // Of this lane alone.
    const buffer = readBuffer(Math.min(pieceBytes, started.partSize))
    let body: PartBody | undefined
    while (next < parts.length && !isGone) {
      const part = parts[next++]!
      const last = body
      if (last !== undefined) yield* Effect.promise(() => last.stop())
      const sha256 = yield* reading(() => hashOf("sha256", file, part, buffer))
      const known = present.get(part.number)
      const md5 = () => hashOf("md5", file, part, buffer)
      const found = known !== undefined && (yield* reading(() => isSame(known, part, sha256, md5))) ? known : undefined
      const answer = found ?? (yield* sendPart(s3, started, part, sha256, () => body = new PartBody(file, part, buffer, body)))
      if (answer === undefined) {
        isGone = true
        return
      }
      if (found === undefined) yield* sent.add(part.size)
      const { ChecksumSHA256, ETag } = answer
      done.push({ PartNumber: part.number, ETag, ...(ChecksumSHA256 !== undefined && { ChecksumSHA256 }) })
      bytesDone += part.size
      say()
    }
  })
  const lanes = Array.from({ length: Math.min(upload.lanes ?? 4, parts.length) }, () => lane)
  yield* Effect.all(lanes, { concurrency: "unbounded", discard: true })
  return isGone ? undefined : done.toSorted((one, other) => one.PartNumber - other.PartNumber)
})

const sendPart = (
  { call, client, sdk }: S3, { bucket, key, uploadId }: Started, { number, size }: Part, sha256: string, bodyOf: () => PartBody
) =>
  call("s3:UploadPart", async (abort) => {
    const command = new sdk.UploadPartCommand({
      Bucket: bucket, Key: key, UploadId: uploadId, PartNumber: number, ContentLength: size, ChecksumSHA256: inBase64(sha256)
    })
    sendsAnew(command.middlewareStack, sha256, bodyOf)
    const answer = await client.send(command, abort).catch((error: unknown) => {
      if (isAbsent(error)) return undefined
      throw error
    })
    return answer && { ETag: answer.ETag!, ChecksumSHA256: answer.ChecksumSHA256 }
  })

interface Present {
  readonly Size: number
  readonly ETag: string
  readonly ChecksumSHA256: string | undefined
}

/** By number; `undefined` if the store knows this upload no more. */
const listParts = Effect.fnUntraced(function*({ call, client, sdk }: S3, { bucket, key, uploadId }: Started) {
  const parts = new Map<number, Present>()
  let after: string | undefined
  do {
    const from = after
    const page = yield* call("s3:ListMultipartUploadParts", (abort) => orAbsent(() => client.send(new sdk.ListPartsCommand({
      Bucket: bucket, Key: key, UploadId: uploadId, ...(from !== undefined && { PartNumberMarker: from })
    }), abort)))
    if (page === undefined) return undefined
    for (const { ChecksumSHA256, ETag, PartNumber, Size } of page.Parts ?? []) {
      parts.set(PartNumber!, { Size: Size!, ETag: ETag!, ChecksumSHA256 })
    }
    after = page.IsTruncated === true ? page.NextPartNumberMarker : undefined
  } while (after !== undefined)
  return parts
})

/** By the sums that the store keeps: the file may be another one than it was, and the store may have lost some. */
const isSame = async (
  { ChecksumSHA256, ETag, Size }: Present, { size }: Part, sha256: string, md5: () => Promise<string>
): Promise<boolean> => {
  if (Size !== size) return false
  if (ChecksumSHA256 !== undefined) return ChecksumSHA256 === inBase64(sha256)
  return ETag.replaceAll("\"", "") === await md5()
}

const partsOf = (size: number, partSize: number): ReadonlyArray<Part> =>
  Array.from({ length: Math.ceil(size / partSize) }, (_, index) =>
    ({ number: index + 1, start: index * partSize, size: Math.min(partSize, size - index * partSize) }))

const reading = <A>(read: () => Promise<A>): Effect.Effect<A, BuildFailed> =>
  Effect.tryPromise({ try: read, catch: (error) => targetFailed("reading the image", error) })

/** As S3 says it: the sum that the signature needs anyway. */
const inBase64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64")
