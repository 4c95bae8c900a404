/** What scheduler and workers say to each other. Workers are not trusted: whatever comes from them is decoded and fenced. */
import { Schema } from "effect"
import { Artifact } from "./artifact.ts"
import { ImageRequest, SealedCustomizations, Target } from "./compose-request.ts"
import { Architecture, AttemptToken, ComposeId, Digest, JobId, Millis, PoolId, TenantId, WorkerId } from "./ids.ts"
import { Failure, JobKind } from "./job.ts"
import { Lock } from "./manifest.ts"

/** Everything that a worker needs for one job; it can reach nothing else of the system. */
export const WorkItem = Schema.Struct({
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
  /** For an upload. */
  artifact: Schema.optionalKey(Artifact),
  target: Schema.optionalKey(Target),
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

/** A worker's answer before what is big in it has been put away: `lock` and `artifact` by kind of job. */
export const WorkOutcome = Schema.TaggedUnion({
  Resolved: { lock: Lock },
  Built: { manifest: Digest, artifact: Artifact, reused: Schema.Boolean },
  Uploaded: { target: Target, artifact: Artifact }
})
export type WorkOutcome = typeof WorkOutcome.Type

/** Text of the whole log, gzip, base64. */
const log = Schema.optionalKey(Schema.String)

/** What a worker reports; kept by the RESULTS stream until the scheduler has taken it in, in the order it was said. */
export const WorkReport = Schema.TaggedUnion({
  /** This worker has begun anew: whatever an earlier session of it held is gone. */
  SessionBegan: { session: Schema.String },
  AttemptStarted: { claim: Claim },
  AttemptSucceeded: { claim: Claim, outcome: WorkOutcome, log },
  AttemptFailed: { claim: Claim, failure: Failure, log },
  AttemptReturned: { claim: Claim }
})
export type WorkReport = typeof WorkReport.Type
export const { SessionBegan, AttemptStarted, AttemptSucceeded, AttemptFailed, AttemptReturned } = WorkReport.cases

/** `session` begins every token that this run of the worker gives out. */
export const Heartbeat = Schema.Struct({
  session: Schema.String,
  architectures: Schema.Array(Architecture),
  slots: Schema.Record(JobKind, Schema.Int),
  running: Schema.Array(Claim),
  /** Finishes nothing and takes nothing any more. */
  draining: Schema.Boolean,
  version: Schema.String,
  at: Millis
})
export type Heartbeat = typeof Heartbeat.Type

/** Who speaks: pool and name come from the subject, which the server has checked, never from the message. */
export interface Speaker {
  readonly pool: PoolId
  readonly worker: WorkerId
}
