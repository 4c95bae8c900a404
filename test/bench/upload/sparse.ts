/** How much of a disk of 10 GiB goes over the wire that has 150 MiB in it: what is written, and not the zeros. */
import { randomBytes } from "node:crypto"
import { open, stat } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { convert } from "../../../infra/formats/convert.ts"
import { azureTargetWith } from "../../../infra/targets/azure/target.ts"
import { gcpTargetWith } from "../../../infra/targets/gcp/target.ts"
import { azureStandIn } from "../../support/azure-stand-in.ts"
import { deliver, deliveryOf, newJournal } from "../../support/deliver.ts"
import { gcpStandIn } from "../../support/gcp-stand-in.ts"
import { account, container } from "../../support/page-blob-stand-in.ts"

const MiB = 2 ** 20
const pieces = 100

/** Pieces of 1.5 MiB that cannot be compressed, all over the disk, none of which begins where a chunk does. */
const writeDisk = async (path: string) => {
  const file = await open(path, "w")
  await file.truncate(10 * 1024 * MiB)
  const bytes = randomBytes(1.5 * MiB)
  for (let piece = 0; piece < pieces; piece++) {
    bytes.writeBigUInt64LE(BigInt(piece))
    for (let at = 0; at < bytes.length; at += 4096) bytes.writeUInt32LE(piece * 4096 + at, at)
    await file.write(bytes, 0, bytes.length, piece * 102 * MiB + 4096)
  }
  await file.sync()
  await file.close()
}

export interface Sent {
  /** Bytes that the file takes on disk. */
  readonly allocated: number
  readonly azure: number
  readonly gcp: number
}

export const sparse = (dir: string): Promise<Sent> => Effect.runPromise(Effect.scoped(Effect.gen(function*() {
  const path = join(dir, "sparse.raw")
  yield* Effect.promise(() => writeDisk(path))
  const { blocks } = yield* Effect.promise(() => stat(path))

  const azure = yield* azureStandIn
  const { location, resource_group, subscription } = azure.place
  const disk = yield* Effect.promise(() => deliveryOf({
    target: { type: "azure" as const, subscription, resource_group, location, storage_account: account, container }, credentials: azure.credentials(), path
  }))
  yield* deliver(azureTargetWith({ pauseMs: 100, pollMs: 10, workers: 8, ca: azure.ca }), disk, newJournal(dir))

  const google = yield* gcpStandIn
  const archive = join(dir, "sparse.tar.gz")
  yield* convert({ path, format: "raw" }, { path: archive, format: "gcp" })
  const packed = yield* Effect.promise(() => deliveryOf({ target: { type: "gcp" as const, bucket: "example-images" }, credentials: google.credentials(), path: archive }))
  yield* deliver(gcpTargetWith({ pauseMs: 100, pollMs: 10, chunkSize: 16 * MiB }), packed, newJournal(dir))
  return { allocated: blocks * 512, azure: azure.blobs.bytesReceived(), gcp: google.gcs.bytesReceived() }
})))
