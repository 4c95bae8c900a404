import { Context } from "effect"

/** How others check what was signed: PEM and JWK say the same. `keyId`: SHA-256 of the key's SubjectPublicKeyInfo, in hex. */
export interface AttesterKey {
  readonly keyId: string
  readonly pem: string
  readonly jwk: Readonly<Record<string, string>>
}

/** Vouches for what this installation says of its images, by Ed25519: the same bytes have the same signature. */
export class Attester extends Context.Service<Attester, {
  readonly key: AttesterKey
  sign(bytes: Uint8Array): Uint8Array
}>()("domain/ports/Attester") {}
