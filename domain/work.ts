/** What scheduler and workers say to each other. Workers are not trusted: whatever comes from them is decoded and fenced. */
import { Schema } from "effect"
import { Artifact, NoBill, ToolVersions } from "./artifact.ts"
import { WorkTestReport } from "./boot-test.ts"
import { DistributionId, ImageRequest, ImageType } from "./compose-request.ts"
import { OfferedSet } from "./credential-sets.ts"
import { SealedCustomizations } from "./customizations.ts"
import { Architecture, AttemptToken, ComposeId, Digest, JobId, Millis, type PoolScope, TenantId, type WorkerId } from "./ids.ts"
import { ImageCopy } from "./image-copy.ts"
import { Failure, JobKind, Slots } from "./job.ts"
import { Lock } from "./manifest.ts"
import { Spent } from "./spent.ts"
import { Target } from "./target.ts"
import { verificationFields } from "./verification.ts"

/** Everything that a worker needs for one job; it can reach nothing else of the system. */
export const WorkItem = Schema.Struct({
  /** Whose queue it was laid on; anybody else who finds it on his own was handed it by somebody who may not give jobs out. */
  speaker: Schema.String,
  tenantId: TenantId,
  composeId: ComposeId,
  jobId: JobId,
  attempt: Schema.Int,
  kind: JobKind,
  builder: Schema.String,
  distribution: Schema.String,
  image: ImageRequest,
  customizations: SealedCustomizations,
  /** For a build. */
  lock: Schema.optionalKey(Lock),
  /** For a build that is compared with an earlier one: what that was made from, and what it made. */
  verify: Schema.optionalKey(Schema.Struct({
    manifest: Digest, artifact: Artifact, revision: Schema.optionalKey(Schema.String), tools: Schema.optionalKey(ToolVersions)
  })),
  /** For a test or an upload. */
  artifact: Schema.optionalKey(Artifact),
  target: Schema.optionalKey(Target),
  /** For the removal of a copy. */
  copy: Schema.optionalKey(ImageCopy),
  /** For its removal from Kiln's own store: nobody else has referred to the image up to then. Absent: somebody does, so its bytes stay. */
  unusedSince: Schema.optionalKey(Millis),
  /** With a build: jobs that wait for nothing but its image, and take moments where the image lies. */
  after: Schema.optionalKey(Schema.Array(Schema.Struct({ jobId: JobId, attempt: Schema.Int, target: Target }))),
  /** W3C `traceparent` of the request behind it. */
  trace: Schema.optionalKey(Schema.String)
})
export type WorkItem = typeof WorkItem.Type

/** One attempt in one worker's hands. */
export const Claim = Schema.Struct({
  tenantId: TenantId,
  composeId: ComposeId,
  jobId: JobId,
  attempt: Schema.Int,
  token: AttemptToken
})
export type Claim = typeof Claim.Type

/** `Evidence` before it is put away: the documents as they are stored, gzip, base64. */
export const WorkEvidence = Schema.Struct({
  spdx: Schema.optionalKey(Schema.String),
  cyclonedx: Schema.optionalKey(Schema.String),
  tools: Schema.optionalKey(ToolVersions),
  noBill: Schema.optionalKey(NoBill)
})
export type WorkEvidence = typeof WorkEvidence.Type

/** A worker's answer before what is big in it has been put away. */
export const WorkOutcome = Schema.TaggedUnion({
  Resolved: { lock: Lock },
  Built: {
    manifest: Digest, artifact: Artifact, reused: Schema.Boolean,
    revision: Schema.optionalKey(Schema.String), evidence: Schema.optionalKey(WorkEvidence)
  },
  Verified: verificationFields,
  Tested: { verdict: Schema.Literals(["passed", "skipped"]), reason: Schema.optionalKey(Schema.String), report: Schema.optionalKey(WorkTestReport) },
  Uploaded: { target: Target, artifact: Artifact, copy: Schema.optionalKey(ImageCopy) },
  Removed: { target: Target }
})
export type WorkOutcome = typeof WorkOutcome.Type

/** Text of the whole log, gzip, base64. */
const log = Schema.optionalKey(Schema.String)

/** What a worker reports; kept by the RESULTS stream until the scheduler has taken it in, in the order it was said. */
export const WorkReport = Schema.TaggedUnion({
  /** This worker has begun anew: whatever an earlier session of it held is gone. */
  SessionBegan: { session: Schema.String },
  /** `at`: by the worker's clock. */
  AttemptStarted: { claim: Claim, at: Schema.optionalKey(Millis) },
  AttemptSucceeded: { claim: Claim, outcome: WorkOutcome, log, spent: Schema.optionalKey(Spent) },
  /**
   * `imageGone`: the image that the job is about was nowhere to be found. `report`: of a test that was carried out and not
   * passed. `retryAfterMs`: for how long whoever refused has asked to be left alone.
   */
  AttemptFailed: {
    claim: Claim, failure: Failure, imageGone: Schema.optionalKey(Schema.Boolean), log, report: Schema.optionalKey(WorkTestReport),
    retryAfterMs: Schema.optionalKey(Schema.Int), spent: Schema.optionalKey(Spent)
  },
  AttemptReturned: { claim: Claim }
})
export type WorkReport = typeof WorkReport.Type
export const { SessionBegan, AttemptStarted, AttemptSucceeded, AttemptFailed, AttemptReturned } = WorkReport.cases

/** What a worker can do; a list that is absent means all. */
export const Abilities = Schema.Struct({
  architectures: Schema.Array(Architecture),
  slots: Slots,
  distributions: Schema.optionalKey(Schema.Array(DistributionId)),
  imageTypes: Schema.optionalKey(Schema.Array(ImageType)),
  /** For people: nothing is decided by them. */
  labels: Schema.optionalKey(Schema.Record(Schema.String, Schema.String))
})
export type Abilities = typeof Abilities.Type

/** `session` begins every token that this run of the worker gives out. */
export const Heartbeat = Schema.Struct({
  session: Schema.String,
  ...Abilities.fields,
  running: Schema.Array(Claim),
  /** Images on this worker's disk whose bytes it has checked; said when they have changed and when the roll is called. */
  held: Schema.optionalKey(Schema.Array(Digest)),
  /** Sets of credentials that its operator has given it. */
  credentials: Schema.optionalKey(Schema.Array(OfferedSet)),
  /** Finishes nothing and takes nothing any more. */
  draining: Schema.Boolean,
  version: Schema.String,
  at: Millis
})
export type Heartbeat = typeof Heartbeat.Type

/** Who speaks: pools and name come from the subject, which the server has checked, never from the message. */
export interface Speaker {
  readonly scope: PoolScope
  readonly worker: WorkerId
}

export const speakerKey = ({ scope, worker }: Speaker): string => `${scope}/${worker}`

/** A job that lies on a worker's queue. */
export interface Lying extends Pick<Claim, "tenantId" | "composeId" | "jobId" | "attempt"> {
  readonly speaker: Speaker
  /** Where in the work queue, so that it can be taken off again. */
  readonly sequence: number
}
