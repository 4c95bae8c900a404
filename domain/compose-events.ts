/** What can happen to a compose. */
import { Schema } from "effect"
import { Blob } from "./artifact.ts"
import { TestReport } from "./boot-test.ts"
import { FromBlueprint } from "./blueprint.ts"
import { ImageRequest, Priority, SealedComposeRequest } from "./compose-request.ts"
import { AttemptToken, ComposeId, Digest, JobId, Millis, WorkerId } from "./ids.ts"
import { CloudResource } from "./image-copy.ts"
import { RemovalReason, Spared } from "./copy-removal.ts"
import { Failure, JobKind, JobOutcome } from "./job.ts"
import { Spent } from "./spent.ts"
import { Verifies } from "./verification.ts"

const job = { composeId: ComposeId, jobId: JobId, attempt: Schema.Int }

// Stored for good: cases and optional fields may be added here, nothing renamed or removed.
export const ComposeEvent = Schema.TaggedUnion({
  /**
   * `resolves`: whether the distribution's builder needs a lock before it can build. `tests`: which images are booted; none
   * if it is not said. `verifies`: it builds the image of another compose again, only to compare. `resolvesOnly`: it says
   * which packages its images would have, and builds none.
   */
  ComposeRequested: {
    composeId: ComposeId,
    request: SealedComposeRequest,
    builder: Schema.String,
    resolves: Schema.Boolean,
    tests: Schema.optionalKey(Schema.Array(Schema.Int)),
    verifies: Schema.optionalKey(Verifies),
    blueprint: Schema.optionalKey(FromBlueprint),
    resolvesOnly: Schema.optionalKey(Schema.Literal(true))
  },
  /** Carries what dispatch needs, so that a scheduler needs no second read. */
  JobQueued: {
    ...job,
    kind: JobKind,
    image: Schema.Int,
    target: Schema.optionalKey(Schema.Int),
    request: ImageRequest,
    distribution: Schema.String,
    notBefore: Schema.optionalKey(Millis),
    priority: Schema.optionalKey(Priority),
    /** Where the image lies that the job is about. */
    held: Schema.optionalKey(Schema.Struct({ worker: WorkerId, digest: Digest })),
    /** Who does it only if nobody else can. */
    avoid: Schema.optionalKey(WorkerId)
  },
  JobStarted: { ...job, worker: WorkerId, token: AttemptToken },
  JobSucceeded: { ...job, outcome: JobOutcome, log: Schema.optionalKey(Blob), spent: Schema.optionalKey(Spent) },
  /** `final`: no further attempt follows. `report`: of a test that was carried out and not passed. */
  JobFailed: {
    ...job,
    failure: Failure,
    final: Schema.Boolean,
    log: Schema.optionalKey(Blob),
    report: Schema.optionalKey(TestReport),
    spent: Schema.optionalKey(Spent)
  },
  JobLost: { ...job, reason: Schema.String, final: Schema.Boolean },
  /** The worker gave the job back untouched, as it does when it is told to go; the attempt does not count. */
  JobReturned: { ...job },
  JobCanceled: { ...job },
  /** Neither its holder nor any store has it any more; its build is queued again. */
  ImageGone: { composeId: ComposeId, image: Schema.Int, digest: Digest },
  /** A failed compose is tried again: its failed jobs are queued in the same decision. */
  ComposeReopened: { composeId: ComposeId },
  /** `spared`: what its request says of how long its copies are kept. */
  ComposeCanceled: { composeId: ComposeId, reason: Schema.optionalKey(Schema.String), spared: Schema.optionalKey(Spared) },
  ComposeFinished: { composeId: ComposeId, outcome: Schema.Literals(["succeeded", "failed"]), spared: Schema.optionalKey(Spared) },
  /** A delivered copy is to go; the job that removes it is queued in the same decision. */
  CopyCondemned: { composeId: ComposeId, image: Schema.Int, target: Schema.Int, reason: RemovalReason },
  /** Nothing of it is left, where it was delivered to. `bytes`: of Kiln's own store. */
  CopyRemoved: { composeId: ComposeId, image: Schema.Int, target: Schema.Int, reason: RemovalReason, bytes: Schema.optionalKey(Schema.Int) },
  /** What a delivery has left in a cloud, and no copy is made of, is removed now by whoever says this, and not after `until` any more. */
  LeftoversCondemned: {
    composeId: ComposeId, image: Schema.Int, target: Schema.Int, resources: Schema.Array(CloudResource), until: Schema.optionalKey(Millis)
  }
})
export type ComposeEvent = typeof ComposeEvent.Type
export const {
  ComposeRequested, JobQueued, JobStarted, JobSucceeded, JobFailed, JobLost, JobReturned, JobCanceled, ImageGone, ComposeReopened,
  ComposeCanceled, ComposeFinished, CopyCondemned, CopyRemoved, LeftoversCondemned
} = ComposeEvent.cases
