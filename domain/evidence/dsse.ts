/** DSSE: an envelope around a payload and signatures of it, as in-toto and Sigstore read it. */
import { Schema } from "effect"

export const Envelope = Schema.Struct({
  payloadType: Schema.String,
  payload: Schema.Uint8ArrayFromBase64,
  signatures: Schema.NonEmptyArray(Schema.Struct({ keyid: Schema.optionalKey(Schema.String), sig: Schema.Uint8ArrayFromBase64 }))
})
export type Envelope = typeof Envelope.Type

/** What is signed in place of the payload, so that its type cannot be taken for another. */
export const preAuthenticationEncoding = (payloadType: string, payload: Uint8Array): Uint8Array => {
  const encoder = new TextEncoder()
  const head = encoder.encode(`DSSEv1 ${encoder.encode(payloadType).length} ${payloadType} ${payload.length} `)
  const whole = new Uint8Array(head.length + payload.length)
  whole.set(head)
  whole.set(payload, head.length)
  return whole
}
