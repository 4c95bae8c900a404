import { assert, describe, it } from "@effect/vitest"
import { buildKeyText, canonical, type Lock, manifestOf } from "../../domain/manifest.ts"
import { image } from "../support/composes.ts"

const lock: Lock = {
  distribution: "debian-13", architecture: "x86_64", sources: [{ uri: "mirror", suite: "trixie", revision: "r1" }],
  packages: [{ name: "less", version: "1", architecture: "amd64", size: 3, sha256: "a".repeat(64), url: "mirror/less.deb" }]
}
const sealed = (ciphertext: string, fingerprint = "f") => ({ keyId: "k", nonce: ciphertext, ciphertext, fingerprint })
const spec = (ciphertext: string, fingerprint?: string) =>
  ({ distribution: "debian-13", image, customizations: { users: [{ name: "ann", password: sealed(ciphertext, fingerprint) }] } })
const key = (s: ReturnType<typeof spec>, l: Lock = lock) => buildKeyText(manifestOf("debian", s, l))

describe("a manifest", () => {
  it("is the same for the same request and lock, whatever its targets", () =>
    assert.deepStrictEqual(manifestOf("debian", { ...spec("x"), image: { ...image, targets: [{ type: "file" }] } }, lock), manifestOf("debian", spec("x"), lock)))
  it("has one text, whatever the order of its keys", () => assert.strictEqual(canonical({ b: 1, a: [{ d: 1, c: 2 }] }), canonical({ a: [{ c: 2, d: 1 }], b: 1 })))
})

describe("a build's key", () => {
  it("knows a secret by its fingerprint: sealed anew it is the same, another one is another", () => {
    assert.strictEqual(key(spec("one")), key(spec("two")))
    assert.notStrictEqual(key(spec("one")), key(spec("one", "g")))
    assert.notInclude(key(spec("ciphertext-of-it")), "ciphertext-of-it")
  })
  it("changes with a package and not with the signature over the index, nor with when that was made", () => {
    const [source] = lock.sources
    assert.strictEqual(key(spec("x")), key(spec("x"), { ...lock, sources: [{ ...source!, revision: "r2" }] }))
    assert.strictEqual(key(spec("x")), key(spec("x"), { ...lock, sources: [{ ...source!, date: "2025-11-20T02:00:00.000Z" }] }))
    assert.notStrictEqual(key(spec("x")), key(spec("x"), { ...lock, packages: [{ ...lock.packages[0]!, sha256: "b".repeat(64) }] }))
  })
})
