import { createHash } from "node:crypto"
import { Effect, Layer } from "effect"
import { Digest } from "../../domain/ids.ts"
import { Blobs } from "../../domain/ports/blobs.ts"

export const BlobsInMemory = Layer.sync(Blobs, () => {
  const blobs = new Map<Digest, Uint8Array>()
  return Blobs.of({
    put: (bytes) =>
      Effect.sync(() => {
        const digest = Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)
        blobs.set(digest, bytes.slice())
        return { digest, size: bytes.length }
      }),
    has: (digest) => Effect.sync(() => blobs.has(digest)),
    get: (digest) => Effect.sync(() => blobs.get(digest))
  })
})
