import { execFileSync } from "node:child_process"
import { createHash, generateKeyPairSync } from "node:crypto"
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs"
import { tmpdir } from "node:os"
import { join } from "node:path"
import { Effect } from "effect"
import { afterEach, assert, beforeEach, describe, it } from "vitest"
import { preAuthenticationEncoding } from "../../../domain/evidence/dsse.ts"
import { Attester } from "../../../domain/ports/attester.ts"
import { AttesterFiles, publicKeyFile } from "../../../infra/keys/attester-files.ts"
import { needs } from "../../support/needs.ts"

let folder = ""
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), "kiln-attester-"))
})
afterEach(() => rmSync(folder, { recursive: true, force: true }))

const attester = (own?: string) => Effect.runPromise(Effect.scoped(Effect.provide(Attester, AttesterFiles(folder, own))))
const refusal = (own: string) => Effect.runPromise(Effect.flip(Effect.scoped(Effect.provide(Attester, AttesterFiles(folder, own)))))
const bytes = preAuthenticationEncoding("application/vnd.in-toto+json", new TextEncoder().encode("{\"a\":\"ä\"}"))

describe("the key that signs provenance", () => {
  it("is made once, by whoever comes first, and read by nobody else", async () => {
    const [one, ...others] = await Promise.all([attester(), attester(), attester()])
    for (const other of others) assert.deepStrictEqual(other.key, one.key)
    assert.strictEqual(statSync(join(folder, "provenance.pem")).mode & 0o777, 0o600)
    assert.strictEqual(readFileSync(publicKeyFile(folder), "utf8"), one.key.pem)
  })

  it("signs the same bytes the same way", async () => {
    const { sign } = await attester()
    assert.deepStrictEqual(sign(bytes), (await attester()).sign(bytes))
  })

  it("is an operator's own where there is one, whatever lies in the folder", async () => {
    const made = await attester()
    const own = join(folder, "own.pem")
    writeFileSync(own, generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }))
    assert.notStrictEqual((await attester(own)).key.keyId, made.key.keyId)
  })

  it("is not used, and not replaced, when it is missing, no key, or of another kind", async () => {
    const file = join(folder, "rsa.pem")
    assert.match((await refusal(file)).message, /there is no file/)
    writeFileSync(file, generateKeyPairSync("rsa", { modulusLength: 2048 }).privateKey.export({ type: "pkcs8", format: "pem" }))
    assert.match((await refusal(file)).message, /of type rsa/)
    writeFileSync(file, "nothing")
    assert.match((await refusal(file)).message, /cannot be used/)
  })
})

describe("openssl", () => {
  needs("openssl")

  it("verifies what was signed, and nothing else", async () => {
    const { key, sign } = await attester()
    writeFileSync(join(folder, "payload"), bytes)
    writeFileSync(join(folder, "signature"), sign(bytes))
    const verify = () => execFileSync("openssl", ["pkeyutl", "-verify", "-pubin", "-inkey", publicKeyFile(folder), "-rawin", "-in", "payload", "-sigfile", "signature"], { cwd: folder, encoding: "utf8", stdio: "pipe" })
    assert.match(verify(), /Verified Successfully/)
    const der = execFileSync("openssl", ["pkey", "-pubin", "-in", publicKeyFile(folder), "-outform", "DER"])
    assert.strictEqual(createHash("sha256").update(der).digest("hex"), key.keyId)
    writeFileSync(join(folder, "payload"), Buffer.concat([bytes, Buffer.from(" ")]))
    assert.throws(verify)
  })
})
