/** One file as one object: in parts, several at a time, from where the last attempt stopped. */
import { type FileHandle, open } from "node:fs/promises"
import type { ListMultipartUploadsCommandOutput } from "@aws-sdk/client-s3"
import { Effect } from "effect"
import { BuildFailed, type Report } from "../../../domain/ports/image-builder.ts"
import type { Journal } from "../../../domain/ports/image-targets.ts"
import { readBuffer } from "../../files/read-buffer.ts"
import { targetFailed } from "../failures.ts"
import { isAbsent, orAbsent, type S3 } from "./client.ts"
import { hashOf, PartBody, pieceBytes, sendsAnew } from "./part-body.ts"

const mebi = 1 << 20

export interface ObjectUpload {
  readonly bucket: string
  /** Of nothing else, in no attempt of any other job. */
  readonly key: string
  readonly path: string
  readonly size: number
  /** SHA-256 of the file in hex; it stays with the object. */
  readonly sha256: string
  readonly metadata?: Readonly<Record<string, string>>
  readonly contentType?: string
  /** Bytes, 16 MiB unless said, and more where there would be too many: what was sent of one that is cut off is sent again. */
  readonly partSize?: number
  /** How many parts at once; each takes a buffer of a piece. */
  readonly lanes?: number
}

export interface Uploaded {
  /** Over all attempts that are in the journal. */
  readonly bytesSent: number
}

interface Part {
  readonly number: number
  readonly start: number
  readonly size: number
}

interface Sent {
  readonly PartNumber: number
  readonly ETag: string
  readonly ChecksumSHA256?: string
}

interface Started {
  readonly bucket: string
  readonly key: string
  readonly uploadId: string
  readonly partSize: number
  readonly sha256: string
  /** Each part has the sum that was promised when the upload was begun; those of before promised another. */
  readonly sums?: "SHA256"
}

/** Of 10,000 parts at most. */
export const partSizeFor = (size: number, least = 16 * mebi): number => Math.max(least, Math.ceil(Math.ceil(size / 10_000) / mebi) * mebi)

/** Whether what was sent is not sent again depends on the store's list of parts; the journal only knows which upload it is. */
export const uploadObject = Effect.fn("s3.uploadObject")(function*(s3: S3, upload: ObjectUpload, journal: Journal, report: Report): Effect.fn.Return<Uploaded, BuildFailed> {
  const sent = new Counter(journal)
  if (yield* isThere(s3, upload)) return { bytesSent: sent.total }
  const partSize = partSizeFor(upload.size, upload.partSize)
  const whole = upload.size <= partSize
  const file = Effect.acquireRelease(
    Effect.tryPromise({ try: () => open(upload.path, "r"), catch: (error) => targetFailed("reading the image", error) }),
    (handle) => Effect.promise(() => handle.close().catch(() => {}))
  )
  yield* Effect.scoped(Effect.flatMap(file, (handle) => whole ? putWhole(s3, upload, handle, sent, report) : putParts(s3, upload, partSize, handle, sent, journal, report)))
  return { bytesSent: sent.total }
})

/** Who may not list a bucket is told 403 of what is not there. */
const isThere = ({ call, client, sdk }: S3, { bucket, key, sha256, size }: ObjectUpload) =>
  Effect.map(
    call("s3:GetObject", (abort) => orAbsent(() => client.send(new sdk.HeadObjectCommand({ Bucket: bucket, Key: key }), abort))
      .catch((error: { readonly $metadata?: { readonly httpStatusCode?: number } }) => {
        if (error.$metadata?.httpStatusCode === 403) return undefined
        throw error
      })),
    (head) => head !== undefined && head.ContentLength === size && head.Metadata?.["sha256"] === sha256
  )

const described = ({ contentType = "application/octet-stream", metadata = {}, sha256 }: ObjectUpload) =>
  ({ ContentType: contentType, Metadata: { ...metadata, sha256 } })

const putWhole = Effect.fnUntraced(function*({ call, client, sdk }: S3, upload: ObjectUpload, file: FileHandle, sent: Counter, report: Report) {
  const { bucket: Bucket, key: Key, size } = upload
  report.progress({ stage: "upload", percent: 0, bytesDone: 0, bytesTotal: size })
  const bytes = yield* readPart(file, { number: 1, start: 0, size }, readBuffer(size))
  yield* call("s3:PutObject", (abort) => client.send(new sdk.PutObjectCommand({
    Bucket, Key, Body: bytes, ContentLength: size, ...described(upload)
  }), abort))
  yield* sent.add(size)
  report.progress({ stage: "upload", percent: 100, bytesDone: size, bytesTotal: size })
})

const putParts = Effect.fnUntraced(function*(s3: S3, upload: ObjectUpload, partSize: number, file: FileHandle, sent: Counter, journal: Journal, report: Report) {
  for (let again = 0; again < 2; again += 1) {
    const started = (yield* resumed(s3, upload, partSize, journal)) ?? (yield* start(s3, upload, partSize, journal))
    const done = yield* sendAll(s3, upload, started, file, sent, report)
    // Where it is gone, somebody has completed it, or it was swept away.
    if ((done !== undefined && (yield* complete(s3, upload, started, done))) || (yield* isThere(s3, upload))) return yield* sweep(s3, upload)
    yield* journal.note("upload", null)
  }
  return yield* new BuildFailed({ class: "target-fault", message: `s3:UploadPart: the upload to ${upload.bucket} was removed while it went on` })
})

/** The upload that an attempt before has begun: by the journal, or, where that is lost, by its key. */
const resumed = Effect.fnUntraced(function*(s3: S3, { bucket, key, sha256 }: ObjectUpload, partSize: number, journal: Journal) {
  const noted = journal.read("upload") as Started | undefined | null
  if (noted) return noted.bucket === bucket && noted.key === key && noted.partSize === partSize && noted.sha256 === sha256 && noted.sums === "SHA256" ? noted : undefined
  // Noted as nothing: what was found is known to be of no use.
  if (noted === null) return undefined
  const [newest] = (yield* unfinishedOf(s3, bucket, key)).filter(({ sums }) => sums === undefined || sums === "SHA256").toSorted((one, other) => other.at - one.at)
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

interface Unfinished {
  readonly key: string
  readonly uploadId: string
  /** Milliseconds since 1970. */
  readonly at: number
  /** What its parts promise, where the store says so. */
  readonly sums?: string | undefined
}

/** Of this key and no longer one; who may not list them is told of none. */
const unfinishedOf = (s3: S3, bucket: string, key: string) =>
  unfinished(s3, bucket, key).pipe(
    Effect.map((found) => found.filter((each) => each.key === key)),
    Effect.catchIf((failed) => failed.class === "user", () => Effect.succeed([] as ReadonlyArray<Unfinished>))
  )

/** An upload whose beginning was done but not heard of was begun a second time. */
const sweep = Effect.fnUntraced(function*(s3: S3, { bucket, key }: ObjectUpload) {
  const others = yield* unfinishedOf(s3, bucket, key)
  yield* Effect.forEach(others, (other) => abortUpload(s3, bucket, other), { discard: true })
})

interface Marks {
  readonly KeyMarker?: string
  readonly UploadIdMarker?: string
}

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

/** Every part once, in any order; `undefined` if the store knows this upload no more. */
const sendAll = Effect.fnUntraced(function*(s3: S3, upload: ObjectUpload, started: Started, file: FileHandle, sent: Counter, report: Report) {
  const present = yield* listParts(s3, started)
  if (present === undefined) return undefined
  const parts = partsOf(upload.size, started.partSize)
  const done: Array<Sent> = []
  let bytesDone = 0
  let next = 0
  let isGone = false
  const say = () => report.progress({ stage: "upload", percent: Math.floor((bytesDone / upload.size) * 100), bytesDone, bytesTotal: upload.size })
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
      const found = known !== undefined && (yield* reading(() => isSame(known, part, sha256, () => hashOf("md5", file, part, buffer)))) ? known : undefined
      const answer = found ?? (yield* sendPart(s3, started, part, sha256, () => body = new PartBody(file, part, buffer, body)))
      if (answer === undefined) {
        isGone = true
        return
      }
      if (found === undefined) yield* sent.add(part.size)
      done.push({ PartNumber: part.number, ETag: answer.ETag, ...(answer.ChecksumSHA256 !== undefined && { ChecksumSHA256: answer.ChecksumSHA256 }) })
      bytesDone += part.size
      say()
    }
  })
  yield* Effect.all(Array.from({ length: Math.min(upload.lanes ?? 4, parts.length) }, () => lane), { concurrency: "unbounded", discard: true })
  return isGone ? undefined : done.toSorted((one, other) => one.PartNumber - other.PartNumber)
})

const sendPart = ({ call, client, sdk }: S3, { bucket, key, uploadId }: Started, { number, size }: Part, sha256: string, bodyOf: () => PartBody) =>
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

const listParts = Effect.fnUntraced(function*({ call, client, sdk }: S3, { bucket, key, uploadId }: Started) {
  const parts = new Map<number, Present>()
  let after: string | undefined
  do {
    const from = after
    const page = yield* call("s3:ListMultipartUploadParts", (abort) => orAbsent(() => client.send(new sdk.ListPartsCommand({
      Bucket: bucket, Key: key, UploadId: uploadId, ...(from !== undefined && { PartNumberMarker: from })
    }), abort)))
    if (page === undefined) return undefined
    for (const { ChecksumSHA256, ETag, PartNumber, Size } of page.Parts ?? []) parts.set(PartNumber!, { Size: Size!, ETag: ETag!, ChecksumSHA256 })
    after = page.IsTruncated === true ? page.NextPartNumberMarker : undefined
  } while (after !== undefined)
  return parts
})

/** By the sums that the store keeps: the file may be another one than it was, and the store may have lost some. */
const isSame = async ({ ChecksumSHA256, ETag, Size }: Present, { size }: Part, sha256: string, md5: () => Promise<string>): Promise<boolean> => {
  if (Size !== size) return false
  if (ChecksumSHA256 !== undefined) return ChecksumSHA256 === inBase64(sha256)
  return ETag.replaceAll("\"", "") === await md5()
}

const reading = <A>(read: () => Promise<A>): Effect.Effect<A, BuildFailed> =>
  Effect.tryPromise({ try: read, catch: (error) => targetFailed("reading the image", error) })

/** Whether it is an object now. Where an answer was lost, the second try finds no such upload. */
const complete = ({ call, client, sdk }: S3, { bucket, key }: ObjectUpload, { uploadId }: Started, parts: ReadonlyArray<Sent>) =>
  Effect.map(
    call("s3:CompleteMultipartUpload", (abort) => orAbsent(() => client.send(new sdk.CompleteMultipartUploadCommand({
      Bucket: bucket, Key: key, UploadId: uploadId, MultipartUpload: { Parts: [...parts] }
    }), abort))),
    (answer) => answer !== undefined
  )

const partsOf = (size: number, partSize: number): ReadonlyArray<Part> =>
  Array.from({ length: Math.ceil(size / partSize) }, (_, index) =>
    ({ number: index + 1, start: index * partSize, size: Math.min(partSize, size - index * partSize) }))

const readPart = (file: FileHandle, { size, start }: Part, buffer: Buffer): Effect.Effect<Buffer, BuildFailed> =>
  Effect.tryPromise({
    try: async () => {
      let at = 0
      while (at < size) {
        const { bytesRead } = await file.read(buffer, at, size - at, start + at)
        if (bytesRead === 0) throw new BuildFailed({ class: "platform", message: "the image is shorter than it was" })
        at += bytesRead
      }
      return buffer.subarray(0, size)
    },
    catch: (error) => targetFailed("reading the image", error)
  })

/** As S3 says it: the sum that the signature needs anyway. */
const inBase64 = (hex: string): string => Buffer.from(hex, "hex").toString("base64")

/** Bytes sent, over all attempts. */
class Counter {
  total: number
  readonly #journal: Journal

  constructor(journal: Journal) {
    this.#journal = journal
    this.total = (journal.read("sent") as number | undefined) ?? 0
  }

  add(bytes: number): Effect.Effect<void, BuildFailed> {
    this.total += bytes
    return this.#journal.note("sent", this.total)
  }
}
