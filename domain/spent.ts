/** What an attempt has used, as far as its worker knows. */
import { Schema } from "effect"

const count = Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))

export const Spent = Schema.Struct({
  /** Of all processes that were begun for it. */
  cpuMs: count,
  /** By its requests, with their heads, without what TLS adds; what was sent again counts again. */
  bytesSent: count,
  /** Requests to a cloud or a registry. */
  cloudCalls: count
})
export type Spent = typeof Spent.Type
