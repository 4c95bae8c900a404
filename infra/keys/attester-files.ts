/** `Attester` with an Ed25519 key in a file (PKCS #8, PEM). */
import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto"
import { mkdir, rename, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect, Layer, Schema } from "effect"
import { Attester, type AttesterKey } from "../../domain/ports/attester.ts"
import { keyFile, readKeyFile } from "./key-file.ts"

export class SigningKeyUnusable extends Schema.TaggedError<SigningKeyUnusable>()("SigningKeyUnusable", { message: Schema.String }) {}

const newKey = () => generateKeyPairSync("ed25519").privateKey.export({ type: "pkcs8", format: "pem" }) as string

/**
 * `own`: an operator's key, which must be there; else one in `folder`, made at first use. The public half is left in
 * `folder` for whoever checks images on this machine.
 */
export const AttesterFiles = (folder: string, own?: string) =>
  Layer.effect(Attester, Effect.tryPromise({
    try: async () => {
      const file = own ?? join(folder, "provenance.pem")
      const text = own === undefined ? await keyFile(file, newKey) : await readKeyFile(own)
      if (text === undefined) throw new Error(`there is no file ${file}`)
      const attester = attesterOf(createPrivateKey(text))
      await publish(folder, attester.key.pem)
      return attester
    },
    catch: (error) => new SigningKeyUnusable({ message: `the key that signs provenance cannot be used: ${(error as Error).message}` })
  }))

export const publicKeyFile = (folder: string) => join(folder, "provenance.pub.pem")

const publish = async (folder: string, pem: string) => {
  const draft = join(folder, `.provenance.pub.${randomBytes(6).toString("hex")}`)
  await mkdir(folder, { recursive: true, mode: 0o700 })
  await writeFile(draft, pem)
  await rename(draft, publicKeyFile(folder))
}

export const attesterOf = (key: KeyObject): Attester["Service"] => {
  if (key.asymmetricKeyType !== "ed25519") throw new Error(`it is of type ${key.asymmetricKeyType}, and must be ed25519`)
  return { key: publicHalf(createPublicKey(key)), sign: (bytes) => new Uint8Array(sign(null, bytes, key)) }
}

const publicHalf = (key: KeyObject): AttesterKey => {
  const keyId = createHash("sha256").update(key.export({ type: "spki", format: "der" })).digest("hex")
  const { crv = "", kty = "", x = "" } = key.export({ format: "jwk" })
  return { keyId, pem: key.export({ type: "spki", format: "pem" }) as string, jwk: { kty, crv, x, alg: "EdDSA", use: "sig", kid: keyId } }
}
