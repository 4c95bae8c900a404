/** How an attempt ended, as a report. */
import { Cause, Exit } from "effect"
import type { Failure } from "../../domain/job.ts"
import type { Spent } from "../../domain/spent.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { AttemptFailed, AttemptSucceeded, type Claim, type WorkOutcome, type WorkReport } from "../../domain/work.ts"
import { TestFailed } from "./handle-test.ts"
import { ImageMissing } from "./image-missing.ts"

type Why = BuildFailed | ImageMissing | TestFailed | Failure

export const reportOf = (claim: Claim, exit: Exit.Exit<WorkOutcome, Why>, archive: string | undefined, spent?: Spent): WorkReport => {
  const rest = { ...(archive !== undefined && { log: archive }), ...(spent && { spent }) }
  if (Exit.isSuccess(exit)) return AttemptSucceeded.make({ claim, outcome: exit.value, ...rest })
  const known = exit.cause.reasons.find(Cause.isFailReason)?.error
  return AttemptFailed.make({
    claim, failure: failureOf(exit.cause), ...(known instanceof ImageMissing && { imageGone: true }), ...(known instanceof TestFailed && { report: known.report }),
    ...(known instanceof BuildFailed && known.retryAfterMs !== undefined && { retryAfterMs: known.retryAfterMs }), ...rest
  })
}

/** A defect is the platform's fault: somebody should look at it, and another attempt may pass. */
const failureOf = (cause: Cause.Cause<Why>): Failure => {
  const known = cause.reasons.find(Cause.isFailReason)?.error
  if (known === undefined) return { class: "platform", message: "the worker failed unexpectedly", excerpt: Cause.pretty(cause).slice(0, 2000) }
  if (known instanceof ImageMissing) return { class: "platform", message: known.message }
  if (known instanceof TestFailed) return known.failure
  return { class: known.class, message: known.message, ...(known.excerpt !== undefined && { excerpt: known.excerpt }) }
}
