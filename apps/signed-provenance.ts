/** Where an image comes from, signed when somebody asks: the same events and the same key give the same bytes. */
import { Effect } from "effect"
import { preAuthenticationEncoding } from "../domain/evidence/dsse.ts"
import { payloadType, provenanceOf, type Subject } from "../domain/evidence/provenance.ts"
import { Attester } from "../domain/ports/attester.ts"
import type { Recorded } from "../domain/recorded.ts"

export interface SignedStatement {
  readonly payload: string
  readonly payloadType: string
  readonly signatures: ReadonlyArray<{ readonly keyid: string; readonly sig: string }>
}

/** Who vouches for builds, by the address that this installation has, if it has one. */
export const builderIdOf = (publicUrl: string | undefined): string => publicUrl?.replace(/\/+$/, "") ?? "urn:kiln:builder"

/** `undefined` while the image is not built. `as`: what it is called elsewhere. */
export const signedProvenance = Effect.fnUntraced(function*(history: ReadonlyArray<Recorded<"compose">>, image: number, builderId: string, as?: Subject) {
  const { key, sign } = yield* Attester
  const statement = provenanceOf(history, image, builderId, as)
  if (statement === undefined) return undefined
  const payload = Buffer.from(JSON.stringify(statement))
  const sig = Buffer.from(sign(preAuthenticationEncoding(payloadType, payload))).toString("base64")
  return { payload: payload.toString("base64"), payloadType, signatures: [{ keyid: key.keyId, sig }] } satisfies SignedStatement
})

export const sigstoreBundleType = "application/vnd.dev.sigstore.bundle.v0.3+json"

/** For verifiers that are given the key: nobody else has witnessed the signature. */
export const sigstoreBundle = (envelope: SignedStatement) => ({
  mediaType: sigstoreBundleType,
  verificationMaterial: { publicKey: { hint: envelope.signatures[0]!.keyid } },
  dsseEnvelope: envelope
})
