/** A pipeline as people write it, in files and over the API: snake_case, spans such as "6 hours". */
import { Schema } from "effect"
import { ComposeRequest, type SealedComposeRequest } from "./compose-request.ts"
import type { PipelineDefinition } from "./pipeline-events.ts"
import { cronFault, isTimeZone } from "./pipeline-schedule.ts"
import { SpanMs, spanText } from "./policy-document.ts"
import { line } from "./text.ts"

const optional = Schema.optionalKey
const between = (minimum: number, maximum: number) => Schema.Int.check(Schema.isBetween({ minimum, maximum }))
const minute = 60_000

const Cron = line(100).check(Schema.makeFilter((text) => {
  const fault = cronFault(text)
  return fault === undefined ? true : `not a line of cron such as "0 3 * * *": ${fault}`
}))

const Schedule = Schema.Struct({
  cron: optional(Cron),
  every: optional(SpanMs.check(Schema.isGreaterThanOrEqualTo(minute, { expected: "a span of at least a minute" }))),
  time_zone: optional(line(60).check(Schema.makeFilter((name) => isTimeZone(name), { expected: "a time zone, such as Europe/Berlin" })))
}).check(Schema.makeFilter(({ cron, every }) => (cron === undefined) !== (every === undefined), { expected: "either cron or every" }))

const rules = {
  schedule: optional(Schedule),
  max_age: optional(SpanMs),
  keep: optional(between(1, 50)),
  promotion: optional(Schema.Literals(["auto", "manual"])),
  pause_after: optional(between(1, 100)),
  retry_after: optional(SpanMs)
}

/** `compose`: as for `POST /composes`. */
export const PipelineDocument = Schema.Struct({ compose: ComposeRequest, ...rules })
export type PipelineDocument = typeof PipelineDocument.Type

/** All but the request, as it was written. */
export const rulesOf = ({ keep, maxAgeMs, pauseAfter, promotion, retryAfterMs, schedule }: PipelineDefinition) => ({
  ...(schedule && { schedule: writtenSchedule(schedule) }),
  ...(maxAgeMs !== undefined && { max_age: spanText(maxAgeMs) }),
  ...(keep !== undefined && { keep }),
  ...(promotion !== undefined && { promotion }),
  ...(pauseAfter !== undefined && { pause_after: pauseAfter }),
  ...(retryAfterMs !== undefined && { retry_after: spanText(retryAfterMs) })
})

const writtenSchedule = ({ cron, everyMs, timeZone }: NonNullable<PipelineDefinition["schedule"]>) =>
  ({ ...(cron !== undefined && { cron }), ...(everyMs !== undefined && { every: spanText(everyMs) }), ...(timeZone !== undefined && { time_zone: timeZone }) })

export const definitionOf = ({ keep, max_age, pause_after, promotion, retry_after, schedule }: PipelineDocument, request: SealedComposeRequest): PipelineDefinition => ({
  request, ...(keep !== undefined && { keep }), ...(promotion !== undefined && { promotion }),
  ...(schedule && { schedule: scheduleOf(schedule) }),
  ...(max_age !== undefined && { maxAgeMs: max_age }),
  ...(pause_after !== undefined && { pauseAfter: pause_after }),
  ...(retry_after !== undefined && { retryAfterMs: retry_after })
})

const scheduleOf = ({ cron, every, time_zone }: typeof Schedule.Type) =>
  ({ ...(cron !== undefined && { cron }), ...(every !== undefined && { everyMs: every }), ...(time_zone !== undefined && { timeZone: time_zone }) })
