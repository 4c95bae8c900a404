/** Policies as people write them, in the file and over the API: snake_case, spans such as "1 day", sizes such as "20 GiB". */
import { Schema, SchemaTransformation } from "effect"
import { Millis, PoolId, TenantId } from "./ids.ts"
import { KeepRule, Policy, Pool, RateLimit, WindowQuota } from "./policy.ts"
import { forEachAccountType, TargetLimit } from "./target-limits.ts"

const spans = { second: 1000, minute: 60_000, hour: 3_600_000, day: 86_400_000, week: 604_800_000 } as const
const sizes = { B: 1, KiB: 2 ** 10, MiB: 2 ** 20, GiB: 2 ** 30, TiB: 2 ** 40 } as const
const longestMs = 400 * spans.day

const spanMs = (text: string): number => {
  const [count, unit] = text.split(" ")
  return Number(count) * spans[unit!.replace(/s$/u, "") as keyof typeof spans]
}

export const spanText = (millis: number): string => {
  const [unit, length] = Object.entries(spans).findLast(([, length]) => millis % length === 0) ?? ["second", 1000]
  return `${millis / length} ${unit}${millis === length ? "" : "s"}`
}

const Span = Schema.String.check(
  Schema.isPattern(/^[1-9][0-9]{0,8} (second|minute|hour|day|week)s?$/u, { expected: "a span of time, such as \"1 day\" or \"90 seconds\"" }),
  Schema.makeFilter((text) => !(spanMs(text) > longestMs), { expected: "a span of at most 400 days" })
)
const inMillis = SchemaTransformation.transform({ decode: spanMs, encode: spanText })

/** As people write it; milliseconds. */
export const SpanMs = Span.pipe(Schema.decodeTo(Schema.Int, inMillis))

const sizeOf = (text: string): number => {
  const [count, unit] = text.split(" ")
  return Math.round(Number(count) * sizes[unit as keyof typeof sizes])
}

const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))
const Size = Schema.Union([
  Count,
  Schema.String.check(Schema.isPattern(/^[0-9]{1,6}(\.[0-9]{1,3})? (B|KiB|MiB|GiB|TiB)$/u, { expected: "a size, such as \"20 GiB\", or a number of bytes" }))
])

/** As people write it; bytes. */
export const ByteSize = Size.pipe(Schema.decodeTo(Count, SchemaTransformation.transform({
  decode: (size) => typeof size === "string" ? sizeOf(size) : size, encode: (bytes: number): number | string => bytes
})))

const optional = Schema.optionalKey

const Rate = RateLimit.check(Schema.makeFilter(({ burst, perSecond }) => burst / perSecond <= 3600, {
  expected: "a bucket that fills within an hour"
})).pipe(Schema.encodeKeys({ perSecond: "per_second" }))

const MaxAge = Schema.Union([Schema.Literal("forever"), Span.pipe(Schema.decodeTo(Schema.Int, inMillis))])
const Keep = Schema.Struct({ ...KeepRule.fields, maxAgeMs: optional(MaxAge) }).pipe(Schema.encodeKeys({ maxAgeMs: "max_age", maxCount: "max_count" }))

const policy = Schema.Struct({
  ...Policy.fields,
  composes: optional(Schema.Array(Schema.Struct({ count: WindowQuota.fields.count, windowMs: Span.pipe(Schema.decodeTo(WindowQuota.fields.windowMs, inMillis)) })
    .pipe(Schema.encodeKeys({ windowMs: "window" }))).check(Schema.isMaxLength(8))),
  storedBytes: optional(ByteSize),
  tenantRate: optional(Rate),
  tokenRate: optional(Rate),
  retention: optional(Schema.Struct({ cloud: optional(Keep), file: optional(Keep) }))
})

export const PolicyDocument = policy.pipe(Schema.encodeKeys({
  runningJobs: "running_jobs", storedBytes: "stored_bytes", tenantRate: "tenant_rate", tokenRate: "token_rate"
}))
export type PolicyDocument = typeof PolicyDocument.Encoded

const PoolDocument = Schema.Struct({ ...Pool.fields, lostAfterMs: optional(Span.pipe(Schema.decodeTo(Millis, inMillis))) })
  .pipe(Schema.encodeKeys({ lostAfterMs: "lost_after" }))

const TargetLimitDocument = TargetLimit.pipe(Schema.encodeKeys({ atOnce: "at_once", perMinute: "per_minute" }))

export const PolicyFileDocument = Schema.Struct({
  pools: optional(Schema.Record(PoolId, PoolDocument)),
  targets: optional(forEachAccountType(TargetLimitDocument)),
  defaults: optional(PolicyDocument),
  tenants: optional(Schema.Record(TenantId, PolicyDocument))
})

