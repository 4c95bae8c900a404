/** Standard Webhooks 1.0: who knows a key knows whom a letter is from, and when it was sent. */
import { createHmac, randomBytes } from "node:crypto"

const mark = "whsec_"

export const newKey = (): string => `${mark}${randomBytes(32).toString("base64")}`

/** One signature for each key that counts. */
export const signatureHeaders = (id: string, seconds: number, body: string, keys: ReadonlyArray<string>): Readonly<Record<string, string>> => ({
  "webhook-id": id,
  "webhook-timestamp": String(seconds),
  "webhook-signature": keys.map((key) => `v1,${createHmac("sha256", Buffer.from(key.slice(mark.length), "base64")).update(`${id}.${seconds}.${body}`).digest("base64")}`).join(" ")
})
