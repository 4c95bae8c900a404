/** The page blob from which an image is made. It is there only meanwhile. */
import { createHash, randomUUID } from "node:crypto"
import { Effect, type Scope } from "effect"
import { BuildFailed, type Report } from "../../../domain/ports/image-builder.ts"
import type { Delivery, Journal } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { readBuffer } from "../../files/read-buffer.ts"
import { type CallFailed, callFailed, has, orAbsent } from "../call-failed.ts"
import { saidBy } from "../failures.ts"
import type { Clients } from "./clients.ts"
import { chunkSize, type Disk, NoVhd, openDisk, runsIn } from "./disk.ts"
import { blobName, isOf, tagsOf } from "./names.ts"
import { footerSize } from "./vhd-footer.ts"

type AzureDelivery = Delivery<TargetOf<"azure">>

/** Sent, whole: with the footer, and last of all the metadata that says so. Answers with the blob's address. */
export const ensureBlob = Effect.fn("azure.ensureBlob")(function*(
  azure: Clients, delivery: AzureDelivery, journal: Journal, report: Report
): Effect.fn.Return<string, BuildFailed | CallFailed, Scope.Scope> {
  const disk = yield* Effect.acquireRelease(opened(delivery), (held) => Effect.promise(() => held.close()))
  const client = azure.container.getPageBlobClient(blobName(delivery.deliveryId))
  const found = yield* findBlob(azure, delivery)
  const ours = found?.size === disk.size + footerSize && found.of === delivery.sha256 ? found : undefined
  if (ours?.whole) return client.url
  // Of another file.
  if (found !== ours) yield* removeBlob(azure, blobName(delivery.deliveryId))
  const upload = ours?.upload ?? (yield* create(azure, delivery, disk, journal))
  yield* sendPages(azure, delivery, disk, upload, journal, report)
  yield* azure.call("blobs.uploadPages", (abortSignal) =>
    client.uploadPages(disk.footer, disk.size, footerSize, { abortSignal, transactionalContentMD5: md5(disk.footer) }))
  yield* azure.call("blobs.setMetadata", (abortSignal) => client.setMetadata({ ...metadataOf(delivery, upload), kiln_whole: "yes" }, { abortSignal }))
  return client.url
}, Effect.scoped)

const opened = ({ artifact, path, size }: AzureDelivery) =>
  Effect.tryPromise({
    try: () => openDisk(path, size, artifact.format === "vhd"),
    catch: (error) => error instanceof NoVhd ? new BuildFailed({ class: "user", message: error.message }) : callFailed("reading the file", saidBy(error))
  })

interface Found {
  readonly size: number
  /** SHA-256 of the file that it is made of. */
  readonly of: string | undefined
  readonly upload: string
  readonly whole: boolean
}

/** Somebody else's blob of this name is left alone. */
const findBlob = Effect.fnUntraced(function*({ call, container }: Clients, { deliveryId }: AzureDelivery): Effect.fn.Return<Found | undefined, BuildFailed | CallFailed> {
  const name = blobName(deliveryId)
  const answer = yield* orAbsent(call("blobs.getProperties", (abortSignal) => container.getPageBlobClient(name).getProperties({ abortSignal })))
  if (answer === undefined) return undefined
  const { contentLength = 0, metadata = {} } = answer
  if (!isOf(metadata, deliveryId)) {
    return yield* new BuildFailed({ class: "user", message: `blobs.getProperties: there is a blob ${name} in the container that was not made by this delivery` })
  }
  return { size: contentLength, of: metadata["kiln_sha256"], upload: metadata["kiln_upload"] ?? "", whole: metadata["kiln_whole"] === "yes" }
})

const metadataOf = (delivery: AzureDelivery, upload: string) =>
  ({ ...tagsOf(delivery, delivery.deliveryId, "_"), kiln_upload: upload, kiln_sha256: delivery.sha256 })

/** What is noted of an upload counts for the blob that bears its name, and for none that comes after it. */
const create = Effect.fnUntraced(function*(azure: Clients, delivery: AzureDelivery, disk: Disk, journal: Journal) {
  const { call, container } = azure
  const upload = randomUUID()
  yield* journal.note("upload", upload)
  yield* call("blobs.create", (abortSignal) => container.getPageBlobClient(blobName(delivery.deliveryId)).create(disk.size + footerSize, {
    abortSignal, metadata: metadataOf(delivery, upload), conditions: { ifNoneMatch: "*" }
  })).pipe(
    // A call that was repeated may have made it the first time.
    Effect.catchTag("CallFailed", (failed) => has(409)(failed)
      ? Effect.flatMap(findBlob(azure, delivery), (found) => found?.upload === upload ? Effect.void : Effect.fail(failed))
      : Effect.fail(failed))
  )
  return upload
})

const stepOf = (upload: string, index: number) => `pages/${upload}/${index}`

const sendPages = Effect.fnUntraced(function*(azure: Clients, delivery: AzureDelivery, disk: Disk, upload: string, journal: Journal, report: Report) {
  const { workers } = azure.tuning
  const noted = disk.chunks.map((index) => journal.read(stepOf(upload, index)) as number | undefined)
  const missing = disk.chunks.filter((_, at) => noted[at] === undefined)
  let sent = sentIn(journal)
  let left = missing.length
  const queue = missing.values()
  const worker = Effect.gen(function*() {
    const buffer = readBuffer(chunkSize)
    for (const index of queue) {
      const bytes = yield* sendChunk(azure, delivery, disk, index, buffer)
      sent += bytes
      left--
      yield* journal.note(stepOf(upload, index), bytes)
      yield* journal.note("sent", sent)
      const done = disk.chunks.length - left
      report.progress({ stage: "upload", percent: done / disk.chunks.length * 80, bytesDone: done * chunkSize, bytesTotal: disk.chunks.length * chunkSize })
    }
  })
  yield* Effect.forEach(Array.from({ length: Math.min(workers, missing.length) }), () => worker, { concurrency: "unbounded", discard: true })
})

const sendChunk = Effect.fnUntraced(function*({ call, container }: Clients, { deliveryId }: AzureDelivery, disk: Disk, index: number, buffer: Buffer) {
  const chunk = yield* Effect.tryPromise({ try: () => disk.read(index, buffer), catch: (error) => callFailed("reading the file", saidBy(error)) })
  const client = container.getPageBlobClient(blobName(deliveryId))
  let bytes = 0
  for (const { end, start } of runsIn(chunk)) {
    const pages = chunk.subarray(start, end)
    yield* call("blobs.uploadPages", (abortSignal) =>
      client.uploadPages(pages, index * chunkSize + start, pages.length, { abortSignal, transactionalContentMD5: md5(pages) }))
    bytes += pages.length
  }
  return bytes
})

const md5 = (bytes: Uint8Array) => createHash("md5").update(bytes).digest()

const sentIn = (journal: Journal): number => (journal.read("sent") as number | undefined) ?? 0
/** Of all attempts, with the footer where one was sent. */
export const sentBefore = (journal: Journal): number => sentIn(journal) === 0 ? 0 : sentIn(journal) + footerSize

/** What is gone is removed. */
export const removeBlob = Effect.fnUntraced(function*({ call, container }: Clients, name: string) {
  yield* orAbsent(call("blobs.delete", (abortSignal) => container.getPageBlobClient(name).delete({ abortSignal, deleteSnapshots: "include" })))
})
