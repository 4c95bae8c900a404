/** Refusals that say when to come again, with the header that programs look for. */
import { Effect } from "effect"
import { HttpServerRespondable, HttpServerResponse } from "effect/http"
import type { QuotaExceeded } from "../../domain/account.ts"
import { spanText } from "../../domain/policy-document.ts"
import * as problems from "./api/problems.ts"

type Problem = problems.QuotaExceeded | problems.QuotaSpent | problems.TooManyRequests

const iso = (millis: number) => new Date(millis).toISOString()

export const comeAgain = (problem: Problem, waitMs: number): Effect.Effect<HttpServerResponse.HttpServerResponse> =>
  Effect.map(HttpServerRespondable.toResponse(problem), HttpServerResponse.setHeader("retry-after", String(Math.max(1, Math.ceil(waitMs / 1000)))))

/** A window has room again at its time; for what has none, waiting is no advice. */
export const quotaRefused = ({ limit, resetsAt, rule, used, windowMs }: QuotaExceeded, now: number) => {
  if (resetsAt === undefined || windowMs === undefined) {
    const detail = rule === "stored_bytes"
      ? `${used} of ${limit} bytes are used by stored images and those under way`
      : "the policy allows no composes"
    return HttpServerRespondable.toResponse(new problems.QuotaSpent({ detail, rule, limit, used }))
  }
  const window = spanText(windowMs)
  const detail = `${used} of ${limit} composes in ${window} are used, the next may be asked for at ${iso(resetsAt)}`
  return comeAgain(new problems.QuotaExceeded({ detail, rule, limit, used, window, resets_at: iso(resetsAt) }), resetsAt - now)
}
