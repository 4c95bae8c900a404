/** When a pipeline is looked at: by a line of cron in a time zone, or so long after it was looked at last. */
import { Cron, Result, Schema } from "effect"
import { Millis } from "./ids.ts"

/** One of `cron` and `everyMs`; without a zone UTC is meant. */
export const PipelineSchedule = Schema.Struct({
  cron: Schema.optionalKey(Schema.String),
  everyMs: Schema.optionalKey(Schema.Int),
  timeZone: Schema.optionalKey(Schema.String)
})
export type PipelineSchedule = typeof PipelineSchedule.Type

/** The first moment after another; never, where no day is like that. */
export const nextTick = ({ cron, everyMs, timeZone = "UTC" }: PipelineSchedule, after: Millis): Millis | undefined => {
  if (everyMs !== undefined) return Millis.make(after + everyMs)
  if (cron === undefined) return undefined
  return Result.getOrUndefined(Result.flatMap(Cron.parse(cron, timeZone), (parsed) =>
    // It searches some years and throws where there is nothing.
    Result.try(() => Millis.make(Cron.next(parsed, after).getTime()))))
}

/** What is wrong with a line of cron, if anything is. */
export const cronFault = (cron: string): string | undefined => {
  if (cron.trim().split(/\s+/u).length !== 5) return "five fields are expected: minute, hour, day of the month, month, day of the week"
  const parsed = Cron.parse(cron, "UTC")
  if (Result.isFailure(parsed)) return parsed.failure.message
  return nextTick({ cron }, Millis.make(0)) === undefined ? "there is no such day" : undefined
}

export const isTimeZone = (name: string): boolean => Result.isSuccess(Cron.parse("0 0 * * *", name))
