/** What can happen to a pipeline: an image that was declared once and is built again by rule. */
import { Schema } from "effect"
import { SealedComposeRequest } from "./compose-request.ts"
import { ComposeId, Digest, Millis } from "./ids.ts"
import { Failure } from "./job.ts"
import { PipelineSchedule } from "./pipeline-schedule.ts"

const optional = Schema.optionalKey
const Count = Schema.Int.check(Schema.isGreaterThanOrEqualTo(1))

/** What was declared. `keep`: so many of the newest good builds stay, and older ones go; `pauseAfter`: failures in a row. */
export const PipelineDefinition = Schema.Struct({
  request: SealedComposeRequest,
  schedule: optional(PipelineSchedule),
  /** The last good build is replaced when it is older. */
  maxAgeMs: optional(Count),
  keep: optional(Count),
  promotion: optional(Schema.Literals(["auto", "manual"])),
  pauseAfter: optional(Count),
  /** After the first failure; twice as long after each one more. */
  retryAfterMs: optional(Count)
})
export type PipelineDefinition = typeof PipelineDefinition.Type

/** What its composes are requested with, beside the request; see `ComposeRequested`. */
export const PipelineMeans = Schema.Struct({ builder: Schema.String, resolves: Schema.Boolean, tests: optional(Schema.Array(Schema.Int)) })
export type PipelineMeans = typeof PipelineMeans.Type

/** `first`: there was none; `changed`: of what it was declared as; `packages`: a check found others. */
export const BuildReason = Schema.Literals(["first", "changed", "request", "schedule", "packages", "age"])
export type BuildReason = typeof BuildReason.Type

export const QuotaRefusal = Schema.Struct({
  rule: Schema.Literals(["composes", "stored_bytes"]), limit: Schema.Int, used: Schema.Int, until: optional(Millis)
})
export type QuotaRefusal = typeof QuotaRefusal.Type

const at = { at: Millis }
const number = { number: Schema.Int }
const composeId = { composeId: ComposeId }

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const PipelineEvent = Schema.TaggedUnion({
  PipelineDeclared: { ...at, definition: PipelineDefinition, means: PipelineMeans },
  /** Takes the place of all that was declared before. */
  PipelineChanged: { ...at, definition: PipelineDefinition, means: PipelineMeans },
  /** Somebody wants a build, whatever has or has not changed. */
  BuildAsked: { ...at },
  /** A compose that only resolves says which packages a build would have. */
  CheckRequested: { ...at, ...composeId },
  /** Nothing was built, since the packages are those of the last good build, or the check was canceled. */
  BuildSkipped: { ...at, ...composeId, why: Schema.Literals(["no-difference", "canceled"]), packages: optional(Digest) },
  DifferenceFound: { ...at, ...composeId, packages: Digest },
  CheckFailed: { ...at, ...composeId, failure: Failure },
  /** The compose follows, under this id. Numbers count from 1 and are never used again. */
  BuildRequested: { ...at, ...composeId, ...number, why: BuildReason },
  /** The tenant's quota has no room for the next one; it is asked again. */
  BuildDelayed: { ...at, why: BuildReason, refusal: QuotaRefusal },
  /** `packages`: names the resolved set, where there is one. `never-requested`: its compose never came to be, another will. */
  BuildEnded: {
    ...at, ...number, outcome: Schema.Literals(["good", "failed", "canceled", "never-requested"]),
    packages: optional(Digest), failure: optional(Failure)
  },
  /** From now on this build is the one that is meant by the pipeline's name. */
  PipelinePromoted: { ...at, ...number, by: Schema.Literals(["build", "request"]) },
  PipelinePaused: { ...at, by: Schema.Literals(["failures", "request"]) },
  /** `change`: what it was paused for may be mended. */
  PipelineResumed: { ...at, by: Schema.Literals(["change", "request"]) },
  PipelineDeleted: { ...at }
})
export type PipelineEvent = typeof PipelineEvent.Type
export const {
  PipelineDeclared, PipelineChanged, BuildAsked, CheckRequested, BuildSkipped, DifferenceFound, CheckFailed, BuildRequested, BuildDelayed,
  BuildEnded, PipelinePromoted, PipelinePaused, PipelineResumed, PipelineDeleted
} = PipelineEvent.cases
