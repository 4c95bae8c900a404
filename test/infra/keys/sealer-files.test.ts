import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { afterEach, beforeEach } from "vitest"
import { TenantId } from "../../../domain/ids.ts"
import { Sealer, SealLost } from "../../../domain/ports/sealer.ts"
import { SealerFiles } from "../../../infra/keys/sealer-files.ts"

const acme = TenantId.make("acme")
const other = TenantId.make("other")

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-keys-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const withSealer = <A, E>(use: (sealer: Sealer["Service"]) => Effect.Effect<A, E>) =>
  Effect.suspend(() => Effect.flatMap(Sealer, use).pipe(Effect.provide(SealerFiles(folder))))

describe("a sealed secret", () => {
  it.effect("opens again, in another process too", () =>
    Effect.gen(function*() {
      const sealed = yield* withSealer((sealer) => sealer.seal(acme, "hunter2 ünïcode"))
      assert.strictEqual(yield* withSealer((sealer) => sealer.open(acme, sealed)), "hunter2 ünïcode")
    }))

  it.effect("shows nothing of the plaintext, and is another each time but for its fingerprint", () =>
    withSealer((sealer) =>
      Effect.gen(function*() {
        const [one, two, third] = [yield* sealer.seal(acme, "hunter2"), yield* sealer.seal(acme, "hunter2"), yield* sealer.seal(acme, "x")]
        assert.notInclude(JSON.stringify(one), "hunter2")
        assert.notStrictEqual(one.ciphertext, two.ciphertext)
        assert.strictEqual(one.fingerprint, two.fingerprint)
        assert.notStrictEqual(one.fingerprint, third.fingerprint)
        assert.notStrictEqual(one.fingerprint, (yield* sealer.seal(other, "hunter2")).fingerprint)
      })))

  it.effect("does not open for another tenant, not even with the same key", () =>
    withSealer((sealer) =>
      Effect.gen(function*() {
        const sealed = yield* sealer.seal(acme, "hunter2")
        yield* sealer.seal(other, "x")
        assert.deepStrictEqual(yield* Effect.flip(sealer.open(other, sealed)), new SealLost({ tenantId: other, keyId: sealed.keyId }))
        const tenants = join(folder, "tenants")
        rmSync(join(tenants, "other.json"))
        yield* Effect.promise(async () => (await import("node:fs/promises")).copyFile(join(tenants, "acme.json"), join(tenants, "other.json")))
        assert.instanceOf(yield* Effect.flip(sealer.open(other, sealed)), SealLost)
      })))

  it.effect("does not open once it was altered", () =>
    withSealer((sealer) =>
      Effect.gen(function*() {
        const sealed = yield* sealer.seal(acme, "hunter2")
        for (const altered of [
          { ...sealed, ciphertext: `A${sealed.ciphertext.slice(1)}` }, { ...sealed, ciphertext: "" }, { ...sealed, nonce: "" }
        ]) assert.instanceOf(yield* Effect.flip(sealer.open(acme, altered)), SealLost)
      })))

  it.effect("is lost for good when the tenant's key is deleted, also once there is a new one", () =>
    withSealer((sealer) =>
      Effect.gen(function*() {
        const sealed = yield* sealer.seal(acme, "hunter2")
        rmSync(join(folder, "tenants", "acme.json"))
        assert.instanceOf(yield* Effect.flip(sealer.open(acme, sealed)), SealLost)
        const renewed = yield* sealer.seal(acme, "hunter2")
        assert.notStrictEqual(renewed.keyId, sealed.keyId)
        assert.instanceOf(yield* Effect.flip(sealer.open(acme, sealed)), SealLost)
      })))
})

describe("a tenant's key", () => {
  it.effect("is readable by its owner alone, and its folder too", () =>
    Effect.gen(function*() {
      yield* withSealer((sealer) => sealer.seal(acme, "x"))
      assert.strictEqual(statSync(join(folder, "tenants", "acme.json")).mode & 0o777, 0o600)
      assert.strictEqual(statSync(join(folder, "tenants")).mode & 0o777, 0o700)
    }))

  it.effect("is the same for all who come first at once", () =>
    Effect.gen(function*() {
      const sealed = yield* Effect.forEach(Array.from({ length: 20 }, (_, n) => n), (n) =>
        withSealer((sealer) => sealer.seal(acme, `secret ${n}`)), { concurrency: "unbounded" })
      assert.strictEqual(new Set(sealed.map(({ keyId }) => keyId)).size, 1)
      const opened = yield* Effect.forEach(sealed, (each) => withSealer((sealer) => sealer.open(acme, each)))
      assert.deepStrictEqual(opened, sealed.map((_, n) => `secret ${n}`))
      assert.deepStrictEqual(readdirSync(join(folder, "tenants")), ["acme.json"])
      assert.lengthOf(Buffer.from(JSON.parse(readFileSync(join(folder, "tenants", "acme.json"), "utf8")).key, "base64"), 32)
    }))
})
