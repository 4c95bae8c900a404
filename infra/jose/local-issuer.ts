/** `LocalIssuer` with an Ed25519 key pair in `<folder>/issuer.json`, made at first use. */
import { join } from "node:path"
import { Clock, Effect, Layer, Schema } from "effect"
import { calculateJwkThumbprint, exportJWK, generateKeyPair, importJWK, type JWK, SignJWT } from "jose"
import { LocalIssuer } from "../../domain/ports/tokens.ts"
import { keyFile } from "../keys/key-file.ts"
import type { TrustedIssuer } from "./trusted-issuer.ts"

export const localIssuerName = "kiln-local"
export const localAudience = "kiln"

const KeyPair = Schema.fromJsonString(Schema.Struct({
  kty: Schema.Literal("OKP"), crv: Schema.Literal("Ed25519"), alg: Schema.Literal("EdDSA"),
  kid: Schema.String, x: Schema.String, d: Schema.String
}))

const newKeyPair = async () => {
  const { privateKey } = await generateKeyPair("EdDSA", { crv: "Ed25519", extractable: true })
  const jwk = await exportJWK(privateKey)
  return JSON.stringify({ ...jwk, alg: "EdDSA", kid: await calculateJwkThumbprint(jwk) })
}

export const LocalIssuerFiles = (folder: string): Layer.Layer<LocalIssuer> =>
  Layer.effect(LocalIssuer, Effect.gen(function*() {
    const text = yield* Effect.promise(() => keyFile(join(folder, "issuer.json"), newKeyPair))
    const { d, ...open } = Schema.decodeUnknownSync(KeyPair)(text)
    const key = yield* Effect.promise(() => importJWK({ ...open, d }))
    return LocalIssuer.of({
      jwks: { keys: [{ ...open, use: "sig" }] },
      sign: Effect.fnUntraced(function*({ tenantId, role, subject, ttl, pool, worker }) {
        const now = yield* Clock.currentTimeMillis
        const token = new SignJWT({ tenant: tenantId, role, ...(pool !== undefined && { pool }), ...(worker !== undefined && { worker }) })
          .setProtectedHeader({ alg: "EdDSA", kid: open.kid, typ: "JWT" })
          .setIssuer(localIssuerName).setAudience(localAudience).setSubject(subject)
          .setIssuedAt(Math.floor(now / 1000)).setExpirationTime(Math.floor((now + ttl) / 1000))
        return yield* Effect.promise(() => token.sign(key))
      })
    })
  }))

/** To be put among the trusted issuers where the local one counts. */
export const trustLocal = ({ jwks }: LocalIssuer["Service"]): TrustedIssuer => ({
  issuer: localIssuerName,
  audience: localAudience,
  keys: { jwks: { keys: jwks.keys as Array<JWK> } },
  algorithms: ["EdDSA"]
})
