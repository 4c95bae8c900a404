import { createHash } from "node:crypto"
import { Objm } from "@nats-io/obj"
import { Effect, Layer } from "effect"
import { Digest } from "../../domain/ids.ts"
import { Blobs, BlobsUnavailable } from "../../domain/ports/blobs.ts"
import { CoreNats, patiently } from "./nats.ts"
import { ensureBucket } from "./streams.ts"

const unavailable = (error: unknown) => new BlobsUnavailable({ message: `the object store does not answer: ${(error as Error).message}` })

export const BlobsJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(Blobs, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    const bucket = yield* patiently(() => new Objm(js).create("blobs", { replicas, compression: true })).pipe(
      Effect.tap(() => ensureBucket(jsm, "OBJ_blobs", { replicas })), Effect.mapError(unavailable))
    return Blobs.of({
      put: Effect.fn("Blobs.put")(function*(bytes) {
        const digest = Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)
        const known = yield* Effect.tryPromise({ try: () => bucket.info(digest), catch: unavailable })
        if (known === null || known.deleted) {
          yield* Effect.tryPromise({ try: () => bucket.putBlob({ name: digest }, bytes), catch: unavailable })
        }
        return { digest, size: bytes.length }
      }),
      has: (digest) =>
        Effect.map(Effect.tryPromise({ try: () => bucket.info(digest), catch: unavailable }), (known) => known !== null && !known.deleted),
      get: (digest) =>
        Effect.tryPromise({ try: () => bucket.getBlob(digest), catch: unavailable }).pipe(Effect.map((bytes) => bytes ?? undefined))
    })
  }))
