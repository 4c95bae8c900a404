/** Composes as the API shows them. Times are RFC 3339 in UTC, names are snake_case. */
import { Schema } from "effect"
import { FromBlueprint } from "../../../domain/blueprint.ts"
import { Check, Firmware, TestReport } from "../../../domain/boot-test.ts"
import { ComposeRequest } from "../../../domain/compose-request.ts"
import { Architecture, ComposeId, Digest, JobId, PoolId, WorkerId } from "../../../domain/ids.ts"
import { Difference } from "../../../domain/image-difference.ts"
import { RemovalReason } from "../../../domain/copy-removal.ts"
import { Failure, JobKind } from "../../../domain/job.ts"
import { WaitReason } from "../../../domain/scheduling/job-outlook.ts"
import { TargetType } from "../../../domain/target.ts"
import { Verdict } from "../../../domain/verification.ts"
import { ComposeStatus } from "../../../projections/compose-history.ts"
import { AttemptStatus } from "../../../projections/job-attempts.ts"

const optional = Schema.optionalKey
const Time = Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] })

export const JobStatus = Schema.Literals(["waiting", "queued", "running", "succeeded", "failed", "skipped", "canceled"])
export type JobStatus = typeof JobStatus.Type

export const ArtifactSummary = Schema.Struct({
  digest: Digest,
  size: Schema.Int,
  format: Schema.String,
  filename: Schema.String,
  media_type: Schema.String
})

/** What was delivered to a cloud: `id` is what people use there, `url` is for people and opens nothing. */
export const CopyView = Schema.Struct({
  id: Schema.String,
  place: optional(Schema.String),
  url: optional(Schema.String),
  /** Of the bytes that lie there, where that is known. */
  digest: optional(Digest),
  format: Schema.String,
  bytes_sent: Schema.Int,
  delivered_at: Time
})

/** `percent` of the whole job (0-100), bytes of its current stage and how fast they go. */
export const progressFields = {
  stage: Schema.String,
  percent: Schema.Number,
  bytes_done: optional(Schema.Number),
  bytes_total: optional(Schema.Number),
  bytes_per_second: optional(Schema.Number)
}

/** Where a running upload is: bytes of what it does now, and how fast they go. */
export const ProgressView = Schema.Struct({
  at: Time,
  ...progressFields
})

export type CopyView = typeof CopyView.Type
export type ProgressView = typeof ProgressView.Type

/** `job` delivers to it; its attempts, and what it waits for, are among the jobs. */
export const TargetView = Schema.Struct({
  type: TargetType,
  job: JobId,
  status: ComposeStatus,
  attempts: Schema.Int,
  /** Why the last attempt failed, unless it is done or under way. */
  failure: optional(Failure),
  progress: optional(ProgressView),
  artifact: optional(ArtifactSummary),
  copy: optional(CopyView),
  /** Once it is to go, or gone: `succeeded` then. */
  removal: optional(Schema.Struct({ status: JobStatus, reason: RemovalReason }))
})
export type TargetView = typeof TargetView.Type

/** Paths of what is said of a built image; `sbom_…` and `lock` only where there is one, `no_sbom` says why there is no bill of materials. */
export const EvidenceView = Schema.Struct({
  provenance: Schema.String,
  sbom_spdx: optional(Schema.String),
  sbom_cyclonedx: optional(Schema.String),
  no_sbom: optional(Schema.String),
  lock: optional(Schema.String)
})

/** One boot; `console` and `screenshot` are paths. */
export const BootView = Schema.Struct({
  firmware: Firmware,
  passed: Schema.Boolean,
  /** Absent if it was never ready. */
  ready_seconds: optional(Schema.Finite),
  took_seconds: Schema.Finite,
  checks: Schema.Array(Check),
  console: Schema.String,
  screenshot: optional(Schema.String)
})
export type BootView = typeof BootView.Type

/** `status` of the test job; `reason`: why it was skipped, or what was left out. */
export const TestView = Schema.Struct({
  status: JobStatus,
  verdict: optional(Schema.Literals(["passed", "failed", "skipped"])),
  reason: optional(Schema.String),
  accelerator: optional(TestReport.fields.accelerator),
  boots: optional(Schema.Array(BootView))
})

export const ImageView = Schema.Struct({
  architecture: Architecture,
  type: Schema.String,
  status: ComposeStatus,
  targets: Schema.Array(TargetView),
  evidence: optional(EvidenceView),
  /** Of an image that is booted once it is built. */
  test: optional(TestView)
})
export type ImageView = typeof ImageView.Type

export const AttemptView = Schema.Struct({
  attempt: Schema.Int,
  status: AttemptStatus,
  queued_at: Time,
  not_before: optional(Time),
  started_at: optional(Time),
  ended_at: optional(Time),
  worker: optional(Schema.String),
  failure: optional(Failure),
  /** Whether the attempt's log is archived. */
  log: Schema.Boolean
})
export type AttemptView = typeof AttemptView.Type

/**
 * `job`: another must end first; `retry`: the next attempt is not due before `until`; the rest as the scheduler has it.
 * While no scheduler answers, what waits for a slot waits for a `worker`, and the fields below `until` are absent.
 */
export const WaitingFor = Schema.Struct({
  reason: Schema.Literals(["job", ...WaitReason.literals]),
  job: optional(JobId),
  until: optional(Time),
  pool: optional(PoolId),
  architecture: optional(Schema.String),
  since: optional(Time),
  /** How many go before it, itself included, if nothing changes. */
  position: optional(Schema.Int),
  worker: optional(WorkerId),
  /** Of `worker`: sets that operators have given to workers, and that it has to have. */
  credentials: optional(Schema.Array(Schema.String)),
  /** Of `target-limit`: type, place and credentials of the account, how many deliveries run there and how many may. */
  limit: optional(Schema.String),
  running: optional(Schema.Int),
  at_most: optional(Schema.Int),
  /** All of it as a sentence for people. */
  message: optional(Schema.String)
})
export type WaitingFor = typeof WaitingFor.Type

export const JobView = Schema.Struct({
  id: JobId,
  kind: JobKind,
  image: Schema.Int,
  target: optional(Schema.Int),
  status: JobStatus,
  waiting_for: optional(WaitingFor),
  attempts: Schema.Array(AttemptView)
})
export type JobView = typeof JobView.Type

/** What lists show. */
export const ComposeSummary = Schema.Struct({
  id: ComposeId,
  status: ComposeStatus,
  distribution: Schema.String,
  name: optional(Schema.String),
  labels: Schema.Record(Schema.String, Schema.String),
  images: Schema.Int,
  /** It was made from. */
  blueprint: optional(FromBlueprint),
  requested_by: Schema.String,
  requested_at: Time,
  started_at: optional(Time),
  ended_at: optional(Time),
  failure: optional(Failure)
}).annotate({ identifier: "ComposeSummary" })
export type ComposeSummary = typeof ComposeSummary.Type

/**
 * Of a compose that verifies: which image, who built it, and once that is known, who built it again and what came out.
 * `differences`: by file, the first is the image that was built first; `more`: how many are not listed.
 */
export const VerificationView = Schema.Struct({
  compose: ComposeId,
  image: Schema.Int,
  manifest: Digest,
  artifact: ArtifactSummary,
  built_by: WorkerId,
  verdict: optional(Verdict),
  verified_by: optional(WorkerId),
  made: optional(ArtifactSummary),
  differences: optional(Schema.Array(Difference)),
  more: optional(Schema.Int),
  /** Why there is no list of differences. */
  note: optional(Schema.String)
}).annotate({ identifier: "Verification" })
export type VerificationView = typeof VerificationView.Type

/** One compose in full; `request` has `"***"` for every secret. */
export const ComposeDetails = Schema.Struct({
  ...ComposeSummary.fields,
  request: ComposeRequest,
  images: Schema.Array(ImageView),
  jobs: Schema.Array(JobView),
  verifies: optional(VerificationView),
  /** Grows with every decision about this compose. */
  revision: Schema.Int
}).annotate({ identifier: "ComposeDetails" })
export type ComposeDetails = typeof ComposeDetails.Type

export const ComposeAccepted = Schema.Struct({
  id: ComposeId,
  status: ComposeStatus,
  distribution: Schema.String,
  name: optional(Schema.String),
  requested_at: Time
}).annotate({ identifier: "ComposeAccepted" })
export type ComposeAccepted = typeof ComposeAccepted.Type

export const ComposePage = Schema.Struct({
  items: Schema.Array(ComposeSummary),
  /** The `cursor` of the next page; none on the last. */
  next: optional(Schema.String)
}).annotate({ identifier: "ComposePage" })
export type ComposePage = typeof ComposePage.Type

/** A file to fetch; `url` needs no token and works until `expires_at`. */
export const ArtifactView = Schema.Struct({
  image: Schema.Int,
  target: Schema.Int,
  ...ArtifactSummary.fields,
  url: Schema.String,
  expires_at: Time
}).annotate({ identifier: "Artifact" })
export type ArtifactView = typeof ArtifactView.Type
