/**
 * `StoredFiles` in a key-value bucket: `file.<tenant>.<digest>` says what a file is, `part.<tenant>.<digest>.<n>` holds its
 * bytes. A file is there once the first says so, which is written last and removed first.
 */
import { createHash } from "node:crypto"
import { type KV, Kvm } from "@nats-io/kv"
import { Effect, Layer, Schema } from "effect"
import { Digest, TenantId } from "../../domain/ids.ts"
import { partBytes, partsOf, StoredFile, type StoredFileOf, StoredFiles, StoredFilesUnavailable } from "../../domain/ports/stored-files.ts"
import { CoreNats, patiently } from "./nats.ts"
import { ensureBucket } from "./streams.ts"

const Text = Schema.fromJsonString(StoredFile)
const decode = Schema.decodeUnknownSync(Text)
const encode = Schema.encodeSync(Text)

const unavailable = (error: unknown) => new StoredFilesUnavailable({ message: `the store of files does not answer: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

const nameOf = (tenantId: TenantId, digest: Digest) => `${tenantId}.${digest.replace("sha256:", "")}`

export const StoredFilesJetStream = ({ replicas }: { readonly replicas: number }) =>
  Layer.effect(StoredFiles, Effect.gen(function*() {
    const { js, jsm } = yield* CoreNats
    const bucket = yield* patiently(() => new Kvm(js).create("FILES", { replicas, history: 1, allow_direct: false, compression: true })).pipe(
      Effect.tap(() => ensureBucket(jsm, "KV_FILES", { replicas })), Effect.mapError(unavailable))
    const known = async (name: string) => {
      const entry = await bucket.get(`file.${name}`)
      return entry?.operation === "PUT" ? decode(entry.string()) : undefined
    }
    return StoredFiles.of({
      list: (tenantId) => attempt(async () => (await listed(bucket, tenantId)).map(({ digest, size, storedAt, storedBy }) => ({ digest, size, storedAt, storedBy }))),
      all: attempt(() => listed(bucket, "*")),
      put: Effect.fn("StoredFiles.put")(function*(tenantId, bytes, by) {
        const file = { digest: Digest.make(`sha256:${createHash("sha256").update(bytes).digest("hex")}`), size: bytes.length, ...by }
        const name = nameOf(tenantId, file.digest)
        const before = yield* attempt(() => known(name))
        if (before !== undefined) return before
        for (let part = 0; part < partsOf(bytes.length); part++) {
          yield* attempt(() => bucket.put(`part.${name}.${part}`, bytes.subarray(part * partBytes, (part + 1) * partBytes)))
        }
        yield* attempt(() => bucket.put(`file.${name}`, encode(file)))
        return file
      }),
      part: (tenantId, digest, index) =>
        attempt(async () => {
          const entry = await bucket.get(`part.${nameOf(tenantId, digest)}.${index}`)
          return entry?.operation === "PUT" ? entry.value : undefined
        }),
      remove: Effect.fn("StoredFiles.remove")(function*(tenantId, digest) {
        const name = nameOf(tenantId, digest)
        const file = yield* attempt(() => known(name))
        if (file === undefined) return false
        yield* attempt(() => bucket.purge(`file.${name}`))
        for (let part = 0; part < partsOf(file.size); part++) yield* attempt(() => bucket.purge(`part.${name}.${part}`))
        return true
      })
    })
  }))

/** By one request for all of them. */
const listed = async (bucket: KV, tenant: TenantId | "*"): Promise<ReadonlyArray<StoredFileOf>> => {
  const found: Array<StoredFileOf> = []
  for await (const entry of await bucket.history({ key: `file.${tenant}.*` })) {
    if (entry.operation === "PUT") found.push({ ...decode(entry.string()), tenantId: TenantId.make(entry.key.split(".")[1]!) })
  }
  return found
}
