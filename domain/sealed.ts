import { Schema } from "effect"

/**
 * A secret as it may be stored: AES-256-GCM under a tenant's key that lives outside the log.
 * `fingerprint` is a keyed digest of the plaintext, so that equal secrets give equal manifests
 * without the secret being there to guess at.
 */
export const Sealed = Schema.Struct({
  keyId: Schema.String,
  nonce: Schema.String,
  ciphertext: Schema.String,
  fingerprint: Schema.String
})
export type Sealed = typeof Sealed.Type
