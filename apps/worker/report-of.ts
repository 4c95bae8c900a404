/** How an attempt ended, as a report. */
import { Cause, Exit } from "effect"
import type { Failure } from "../../domain/job.ts"
import type { BuildFailed } from "../../domain/ports/image-builder.ts"
import { AttemptFailed, AttemptSucceeded, type Claim, type WorkOutcome, type WorkReport } from "../../domain/work.ts"
import { ImageMissing } from "./handle-job.ts"

export const reportOf = (claim: Claim, exit: Exit.Exit<WorkOutcome, BuildFailed | ImageMissing | Failure>, archive: string | undefined): WorkReport => {
  const log = archive === undefined ? {} : { log: archive }
  return Exit.isSuccess(exit)
    ? AttemptSucceeded.make({ claim, outcome: exit.value, ...log })
    : AttemptFailed.make({ claim, failure: failureOf(exit.cause), ...(isImageMissing(exit.cause) && { imageGone: true }), ...log })
}

/** A defect is the platform's fault: somebody should look at it, and another attempt may pass. */
const failureOf = (cause: Cause.Cause<BuildFailed | ImageMissing | Failure>): Failure => {
  const known = cause.reasons.find(Cause.isFailReason)?.error
  if (known === undefined) return { class: "platform", message: "the worker failed unexpectedly", excerpt: Cause.pretty(cause).slice(0, 2000) }
  if (known instanceof ImageMissing) return { class: "platform", message: known.message }
  return { class: known.class, message: known.message, ...(known.excerpt !== undefined && { excerpt: known.excerpt }) }
}

const isImageMissing = (cause: Cause.Cause<unknown>) => cause.reasons.some((reason) => Cause.isFailReason(reason) && reason.error instanceof ImageMissing)
