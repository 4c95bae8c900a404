/** The archive in Cloud Storage from which an image is made. It is there only meanwhile. */
import { Effect } from "effect"
import { BuildFailed, type Report } from "../../../domain/ports/image-builder.ts"
import type { Delivery, Journal } from "../../../domain/ports/image-targets.ts"
import type { TargetOf } from "../../../domain/target.ts"
import { type CallFailed, callFailed, has, orAbsent } from "../call-failed.ts"
import type { Clients, Tuning } from "./clients.ts"
import { isOf, labelsOf, objectName } from "./names.ts"
import { sendFile } from "./resumable-upload.ts"

interface Session {
  readonly uri: string
  readonly sha256: string
}

/** Sent, whole, and its checksum compared. */
export const ensureObject = Effect.fn("gcp.ensureObject")(function*(
  clients: Clients, delivery: Delivery<TargetOf<"gcp">>, journal: Journal, report: Report, tuning: Tuning
): Effect.fn.Return<string, BuildFailed | CallFailed> {
  const name = objectName(delivery.deliveryId)
  const noted = journal.read("session") as Session | undefined
  let uri = noted?.sha256 === delivery.sha256 ? noted.uri : undefined
  // The first is given up when Google has forgotten it, after a week.
  for (let sessions = 0; sessions < 3; sessions++) {
    const there = yield* found(clients, delivery)
    if (there !== undefined && (yield* isWhole(clients, delivery, there))) return name
    uri ??= yield* begin(clients, delivery, journal)
    const crc32c = yield* send(clients, uri, delivery, journal, report, tuning)
    uri = undefined
    const sent = crc32c === undefined ? undefined : yield* found(clients, delivery)
    // A session that has ended says so for long, also when what it has made is gone.
    if (sent === undefined) continue
    if (sent.crc32c === crc32c && sent.size === delivery.size) return name
    yield* removeObject(clients, name, sent.generation)
    return yield* Effect.fail(callFailed("storage.objects.insert", {
      status: 500, code: "checksum", message: `what arrived has the checksum ${sent.crc32c}, what was sent ${crc32c}`
    }))
  }
  return yield* Effect.fail(callFailed("storage.objects.insert", { status: 500, code: undefined, message: "upload sessions end before they are used" }))
})

interface Found {
  readonly size: number
  readonly crc32c: string | undefined
  readonly generation: string
  readonly sha256: string | undefined
}

interface Stored {
  readonly size: string
  readonly crc32c?: string
  readonly generation: string
  readonly metadata?: Readonly<Record<string, string>>
}

const pathOf = (name: string) => `o/${encodeURIComponent(name)}`

/** Somebody else's object of this name is left alone. */
const found = Effect.fnUntraced(function*({ ask }: Clients, { deliveryId }: Delivery): Effect.fn.Return<Found | undefined, BuildFailed | CallFailed> {
  const name = objectName(deliveryId)
  const answer = yield* orAbsent(ask<Stored>("storage.objects.get", pathOf(name)))
  if (answer === undefined) return undefined
  const { crc32c, generation, metadata, size } = answer
  if (!isOf(metadata, deliveryId)) {
    return yield* new BuildFailed({ class: "user", message: `storage.objects.get: there is an object ${name} in the bucket that was not made by this delivery` })
  }
  return { size: Number(size), crc32c, generation: String(generation), sha256: metadata?.["kiln-sha256"] }
})

/** Of another file it is removed. */
const isWhole = Effect.fnUntraced(function*(clients: Clients, delivery: Delivery<TargetOf<"gcp">>, { crc32c, generation, sha256, size }: Found) {
  const { CRC32C } = yield* Effect.promise(() => import("@google-cloud/storage"))
  if (sha256 === delivery.sha256 && size === delivery.size) {
    const here = yield* Effect.tryPromise({
      try: () => CRC32C.fromFile(delivery.path),
      catch: (error) => callFailed("reading the file", { status: undefined, code: "EIO", message: String(error) })
    })
    if (here.toString() === crc32c) return true
  }
  yield* removeObject(clients, objectName(delivery.deliveryId), generation)
  return false
})

const begin = Effect.fnUntraced(function*({ bucket, call }: Clients, delivery: Delivery<TargetOf<"gcp">>, journal: Journal) {
  const { deliveryId, sha256 } = delivery
  const metadata = { contentType: "application/gzip", metadata: { ...labelsOf(delivery, deliveryId), "kiln-sha256": sha256 } }
  const [uri] = yield* call("storage.objects.insert", () =>
    bucket.file(objectName(deliveryId)).createResumableUpload({ metadata, preconditionOpts: { ifGenerationMatch: 0 } }))
  yield* journal.note("session", { uri, sha256 } satisfies Session)
  return uri
})

const send = Effect.fnUntraced(function*(
  { agent }: Clients, uri: string, { path, size }: Delivery, journal: Journal, report: Report, { chunkSize, pauseMs }: Tuning
) {
  const { CRC32C } = yield* Effect.promise(() => import("@google-cloud/storage"))
  let sent = sentBefore(journal)
  return yield* sendFile({
    uri, agent, path, size, chunkSize, pauseMs, checksum: new CRC32C(),
    onSent: (bytes, at) => {
      sent += bytes
      report.progress({ stage: "upload", percent: at / size * 80, bytesDone: at, bytesTotal: size })
      return Effect.mapError(journal.note("sent", sent), ({ message }) => callFailed("journal", { status: undefined, code: "EIO", message }))
    }
  })
})

export const sentBefore = (journal: Journal): number => (journal.read("sent") as number | undefined) ?? 0

/** What is gone is removed. */
export const removeObject = Effect.fnUntraced(function*({ ask }: Clients, name: string, generation?: string) {
  const query: Array<[string, string]> = generation === undefined ? [] : [["generation", generation], ["ifGenerationMatch", generation]]
  yield* orAbsent(ask("storage.objects.delete", pathOf(name), query, "DELETE")).pipe(
    Effect.catchTag("CallFailed", (failed) => has(412)(failed) ? Effect.void : Effect.fail(failed))
  )
})
