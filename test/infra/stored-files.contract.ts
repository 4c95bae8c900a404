/** What every `StoredFiles` holds to. */
import { randomBytes } from "node:crypto"
import { assert, layer } from "@effect/vitest"
import { Effect, type Layer } from "effect"
import { Digest, Millis } from "../../domain/ids.ts"
import { partBytes, partsOf, StoredFiles } from "../../domain/ports/stored-files.ts"
import { newTenant } from "../support/small-stack.ts"

const by = { storedAt: Millis.make(1_790_000_000_000), storedBy: "ann" }
const unknown = Digest.make(`sha256:${"0".repeat(64)}`)

const wholeOf = Effect.fnUntraced(function*(tenantId: ReturnType<typeof newTenant>, digest: Digest) {
  const { part } = yield* StoredFiles
  const parts: Array<Uint8Array> = []
  for (let index = 0;; index++) {
    const next = yield* part(tenantId, digest, index)
    if (next === undefined) return Buffer.concat(parts)
    parts.push(next)
  }
})

export const storedFilesContract = (name: string, ports: Layer.Layer<StoredFiles, unknown>) =>
  layer(ports, { excludeTestServices: true })(`stored files ${name}`, (it) => {
    it.effect("given files of no byte, of one part and of several, then each comes back as it was, part by part, and is listed with its size", () =>
      Effect.gen(function*() {
        const [{ list, put }, tenantId] = [yield* StoredFiles, newTenant()]
        const contents = [0, 1, partBytes, 2 * partBytes + 3].map((size) => randomBytes(size))
        for (const bytes of contents) {
          const { digest, size } = yield* put(tenantId, bytes, by)
          assert.strictEqual(size, bytes.length)
          assert.isTrue((yield* wholeOf(tenantId, digest)).equals(bytes))
        }
        const all = yield* list(tenantId)
        assert.deepStrictEqual(all.map(({ size }) => size).toSorted((one, other) => one - other), contents.map(({ length }) => length))
        assert.deepStrictEqual(all.map(({ storedBy }) => storedBy), ["ann", "ann", "ann", "ann"])
        assert.strictEqual(partsOf(2 * partBytes + 3), 3)
      }))

    it.effect("given the same bytes twice, then there is one file, stored when and by whom it was first", () =>
      Effect.gen(function*() {
        const [{ list, put }, tenantId] = [yield* StoredFiles, newTenant()]
        const first = yield* put(tenantId, Buffer.from("same"), by)
        assert.deepStrictEqual(yield* put(tenantId, Buffer.from("same"), { ...by, storedBy: "bob" }), first)
        assert.deepStrictEqual(yield* list(tenantId), [first])
      }))

    it.effect("given files of two tenants, then all of them are listed with whose they are", () =>
      Effect.gen(function*() {
        const [{ all, put }, one, other] = [yield* StoredFiles, newTenant(), newTenant()]
        const files = yield* Effect.forEach([one, other, other], (tenantId, at) => Effect.map(put(tenantId, Buffer.from(`of ${Math.min(at, 1)} or ${at}`), by), (file) => ({ ...file, tenantId })))
        const mine = (yield* all).filter(({ tenantId }) => tenantId === one || tenantId === other)
        assert.sameDeepMembers(mine, files)
      }))

    it.effect("given another tenant's file, then it is neither listed nor read nor removed, though its digest is known", () =>
      Effect.gen(function*() {
        const [{ list, part, put, remove }, owner, other] = [yield* StoredFiles, newTenant(), newTenant()]
        const { digest } = yield* put(owner, Buffer.from("private"), by)
        assert.deepStrictEqual([yield* list(other), yield* part(other, digest, 0), yield* remove(other, digest)], [[], undefined, false])
        assert.strictEqual((yield* wholeOf(owner, digest)).toString(), "private")
      }))

    it.effect("given a file that is removed, then nothing is left of it, and it can be stored again", () =>
      Effect.gen(function*() {
        const [{ list, part, put, remove }, tenantId] = [yield* StoredFiles, newTenant()]
        const { digest } = yield* put(tenantId, Buffer.from("gone"), by)
        assert.deepStrictEqual([yield* remove(tenantId, digest), yield* remove(tenantId, digest), yield* remove(tenantId, unknown)], [true, false, false])
        assert.deepStrictEqual([yield* list(tenantId), yield* part(tenantId, digest, 0)], [[], undefined])
        yield* put(tenantId, Buffer.from("gone"), by)
        assert.strictEqual((yield* wholeOf(tenantId, digest)).toString(), "gone")
      }))
  })
