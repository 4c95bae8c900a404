/** What an attempt has used, as far as its worker knows. */
import { Schema } from "effect"

const count = Schema.optionalKey(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0)))

export const Spent = Schema.Struct({
  /** Of all processes that were begun for it. */
  cpuMs: count,
  /** Over the wire to its target, what was sent again included. */
  bytesSent: count,
  /** Requests to a cloud or a registry. */
  cloudCalls: count
})
export type Spent = typeof Spent.Type
