import { createHash } from "node:crypto"
import { Effect, Layer } from "effect"
import { Digest, TenantId } from "../../domain/ids.ts"
import { partBytes, type StoredFile, StoredFiles } from "../../domain/ports/stored-files.ts"

export const StoredFilesInMemory = Layer.sync(StoredFiles, () => {
  const files = new Map<string, { readonly file: StoredFile; readonly bytes: Uint8Array }>()
  return StoredFiles.of({
    list: (tenantId) => Effect.sync(() => [...files].filter(([key]) => key.startsWith(`${tenantId}/`)).map(([, { file }]) => file)),
    all: Effect.sync(() => [...files].map(([key, { file }]) => ({ ...file, tenantId: TenantId.make(key.split("/")[0]!) }))),
    put: (tenantId, bytes, by) =>
      Effect.sync(() => {
        const digest = Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`)
        const key = `${tenantId}/${digest}`
        const stored = files.get(key) ?? { file: { digest, size: bytes.length, ...by }, bytes: bytes.slice() }
        files.set(key, stored)
        return stored.file
      }),
    part: (tenantId, digest, index) =>
      Effect.sync(() => {
        const part = files.get(`${tenantId}/${digest}`)?.bytes.subarray(index * partBytes, (index + 1) * partBytes)
        return part?.length === 0 ? undefined : part
      }),
    remove: (tenantId, digest) => Effect.sync(() => files.delete(`${tenantId}/${digest}`))
  })
})
