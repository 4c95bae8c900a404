/** Standard Webhooks 1.0: who knows a key knows whom a letter is from, and when it was sent. */
import { createHmac } from "node:crypto"
import { keyBytes } from "../webhook-key.ts"

/** One signature for each key that counts. */
export const signatureHeaders = (id: string, seconds: number, body: string, keys: ReadonlyArray<string>): Readonly<Record<string, string>> => ({
  "webhook-id": id,
  "webhook-timestamp": String(seconds),
  "webhook-signature": keys.map((key) => `v1,${signature(key, `${id}.${seconds}.${body}`)}`).join(" ")
})

const signature = (key: string, signed: string): string => createHmac("sha256", keyBytes(key)).update(signed).digest("base64")
