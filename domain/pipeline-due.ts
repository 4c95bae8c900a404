/** What a pipeline does next, and when. Pure: timers, commands and what people are shown are reckoned by it alike. */
import { Millis } from "./ids.ts"
import type { Pipeline } from "./pipeline.ts"
import type { BuildReason } from "./pipeline-events.ts"
import { nextTick } from "./pipeline-schedule.ts"

export interface Due {
  readonly what: "build" | "check"
  readonly why: BuildReason
  readonly at: Millis
}

export const usualPauseAfter = 5
export const usualRetryAfterMs = 5 * 60_000
const longestBackoffMs = 86_400_000

/** Nothing while something is under way, it is paused, or nothing but a request makes it build. */
export const dueOf = (pipeline: Pipeline): Due | undefined => {
  const { building, checking, failures, lastFailure, paused, status, wanted } = pipeline
  if (status !== "declared" || paused !== undefined || checking !== undefined || building !== undefined) return undefined
  const asked = wanted && { what: wanted.what, why: wanted.why, at: wanted.since }
  if (asked?.why === "request" || (asked?.why === "changed" && failures === 0)) return asked
  if (failures > 0 && lastFailure !== undefined) {
    return { what: lastFailure.what, why: lastFailure.why, at: Millis.make(lastFailure.at + backoffMs(pipeline)) }
  }
  return [asked, tick(pipeline), ageing(pipeline)].reduce((first, each) =>
    first === undefined || (each !== undefined && each.at < first.at) ? each : first, undefined)
}

const backoffMs = ({ definition, failures }: Pipeline): number => {
  const first = definition?.retryAfterMs ?? usualRetryAfterMs
  return Math.min(first * 2 ** (failures - 1), Math.max(longestBackoffMs, first))
}

/** Where packages cannot be compared, nobody knows whether something has changed. */
const tick = ({ definition, lastGood, lookedAt, means }: Pipeline): Due | undefined => {
  const at = definition?.schedule && nextTick(definition.schedule, lookedAt)
  return at && { what: means?.resolves === true && lastGood?.packages !== undefined ? "check" : "build", why: "schedule", at }
}

/** Who cancels a build has said: not now. */
const ageing = ({ builds, definition, lastGood }: Pipeline): Due | undefined => {
  if (definition?.maxAgeMs === undefined || lastGood === undefined) return undefined
  return { what: "build", why: "age", at: Millis.make(Math.max(lastGood.endedAt, builds[0]?.requestedAt ?? 0) + definition.maxAgeMs) }
}
