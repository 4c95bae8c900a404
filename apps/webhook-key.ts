/** Keys of webhooks as Standard Webhooks 1.0 writes them. */
import { randomBytes } from "node:crypto"

const mark = "whsec_"

export const newKey = (): string => `${mark}${randomBytes(32).toString("base64")}`

/** What is signed with. */
export const keyBytes = (key: string): Buffer => Buffer.from(key.slice(mark.length), "base64")
