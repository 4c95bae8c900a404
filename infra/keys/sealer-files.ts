/** `Sealer` with one key file a tenant: `<folder>/tenants/<tenant>.json`. To forget a tenant's secrets, delete it. */
import { createCipheriv, createDecipheriv, createHmac, hkdfSync, randomBytes } from "node:crypto"
import { join } from "node:path"
import { Effect, Layer, Schema } from "effect"
import type { TenantId } from "../../domain/ids.ts"
import { Sealer, SealLost } from "../../domain/ports/sealer.ts"
import type { Sealed } from "../../domain/sealed.ts"
import { keyFile, readKeyFile } from "./key-file.ts"

const TenantKey = Schema.Struct({ keyId: Schema.String, key: Schema.Uint8ArrayFromBase64 })
type TenantKey = typeof TenantKey.Type
const TenantKeyText = Schema.fromJsonString(TenantKey)
const decodeKey = Schema.decodeUnknownSync(TenantKeyText)
const encodeKey = Schema.encodeSync(TenantKeyText)

const newKey = () => encodeKey({ keyId: randomBytes(8).toString("hex"), key: new Uint8Array(randomBytes(32)) })

/** No cache: a key that was deleted a moment ago is gone in every process. */
export const SealerFiles = (folder: string): Layer.Layer<Sealer> => {
  const fileOf = (tenantId: TenantId) => join(folder, "tenants", `${tenantId}.json`)
  return Layer.succeed(Sealer, Sealer.of({
    seal: Effect.fnUntraced(function*(tenantId, plaintext) {
      const key = decodeKey(yield* Effect.promise(() => keyFile(fileOf(tenantId), newKey)))
      return seal(tenantId, key, plaintext)
    }),
    open: Effect.fnUntraced(function*(tenantId, sealed) {
      const text = yield* Effect.promise(() => readKeyFile(fileOf(tenantId)))
      const opened = text === undefined ? undefined : open(tenantId, decodeKey(text), sealed)
      return opened ?? (yield* new SealLost({ tenantId, keyId: sealed.keyId }))
    })
  }))
}

// One secret, two uses, two keys: knowing fingerprints must not help with ciphertexts.
const derive = ({ key }: TenantKey, use: "seal" | "fingerprint"): Buffer =>
  Buffer.from(hkdfSync("sha256", key, new Uint8Array(0), `kiln ${use}`, 32))

const tagBytes = 16

const seal = (tenantId: TenantId, key: TenantKey, plaintext: string): Sealed => {
  const nonce = randomBytes(12)
  const cipher = createCipheriv("aes-256-gcm", derive(key, "seal"), nonce).setAAD(Buffer.from(tenantId))
  const ciphertext = Buffer.concat([cipher.update(plaintext, "utf8"), cipher.final(), cipher.getAuthTag()])
  return {
    keyId: key.keyId,
    nonce: nonce.toString("base64"),
    ciphertext: ciphertext.toString("base64"),
    fingerprint: createHmac("sha256", derive(key, "fingerprint")).update(plaintext).digest("base64")
  }
}

const open = (tenantId: TenantId, key: TenantKey, sealed: Sealed): string | undefined => {
  if (sealed.keyId !== key.keyId) return undefined
  const bytes = Buffer.from(sealed.ciphertext, "base64")
  try {
    const decipher = createDecipheriv("aes-256-gcm", derive(key, "seal"), Buffer.from(sealed.nonce, "base64"))
      .setAAD(Buffer.from(tenantId))
      .setAuthTag(bytes.subarray(-tagBytes))
    return decipher.update(bytes.subarray(0, -tagBytes), undefined, "utf8") + decipher.final("utf8")
  } catch {
    // Altered, cut short, or sealed for somebody else.
    return undefined
  }
}
