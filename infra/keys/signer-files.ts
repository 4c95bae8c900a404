/** `Signer` with an HMAC-SHA256 key in `<folder>/links.json`. */
import { createHmac, randomBytes, timingSafeEqual } from "node:crypto"
import { join } from "node:path"
import { Effect, Layer, Schema } from "effect"
import { Signer } from "../../domain/ports/signer.ts"
import { keyFile } from "./key-file.ts"

const KeyText = Schema.fromJsonString(Schema.Struct({ key: Schema.Uint8ArrayFromBase64 }))
const newKey = () => Schema.encodeSync(KeyText)({ key: new Uint8Array(randomBytes(32)) })

export const SignerFiles = (folder: string): Layer.Layer<Signer> =>
  Layer.effect(Signer, Effect.gen(function*() {
    const text = yield* Effect.promise(() => keyFile(join(folder, "links.json"), newKey))
    return signerOf(Schema.decodeUnknownSync(KeyText)(text).key)
  }))

export const signerOf = (key: Uint8Array): Signer["Service"] => {
  const digest = (text: string) => createHmac("sha256", key).update(text).digest()
  return {
    sign: (text) => digest(text).toString("base64url"),
    verify: (text, signature) => {
      const given = Buffer.from(signature, "base64url")
      const right = digest(text)
      return given.length === right.length && timingSafeEqual(given, right)
    }
  }
}
