/** What things cost, as an operator has set it, for showing usage as money. */
import { Schema } from "effect"
import { line } from "./text.ts"

const price = Schema.optionalKey(Schema.Finite.check(Schema.isGreaterThanOrEqualTo(0)))

/** Each for one of its unit; what is not named costs nothing. Bytes by GiB of 2^30. */
export const Prices = Schema.Struct({
  currency: line(12),
  build_minute: price,
  test_minute: price,
  /** Of jobs that neither build nor test. */
  other_minute: price,
  cpu_hour: price,
  stored_gib: price,
  sent_gib: price,
  cloud_call: price,
  attempt: price
})
export type Prices = typeof Prices.Type

export interface Used {
  readonly attempts: number
  readonly buildMs: number
  readonly testMs: number
  readonly otherMs: number
  readonly cpuMs: number
  readonly storedBytes: number
  readonly sentBytes: number
  readonly cloudCalls: number
}

const minute = 60_000
const gib = 2 ** 30

/** Rounded to a millionth, as sums of many small prices are shown. */
export const costOf = (used: Used, prices: Prices): number => {
  const { attempt = 0, build_minute = 0, cloud_call = 0, cpu_hour = 0, other_minute = 0, sent_gib = 0, stored_gib = 0, test_minute = 0 } = prices
  const cost = used.attempts * attempt + (used.buildMs / minute) * build_minute + (used.testMs / minute) * test_minute
    + (used.otherMs / minute) * other_minute + (used.cpuMs / (60 * minute)) * cpu_hour
    + (used.storedBytes / gib) * stored_gib + (used.sentBytes / gib) * sent_gib + used.cloudCalls * cloud_call
  return Math.round(cost * 1e6) / 1e6
}
