/** What can be asked of a compose. */
import { Schema } from "effect"
import { Blob } from "./artifact.ts"
import { TestReport } from "./boot-test.ts"
import { FromBlueprint } from "./blueprint.ts"
import { SealedComposeRequest } from "./compose-request.ts"
import { AttemptToken, ComposeId, JobId, Millis, WorkerId } from "./ids.ts"
import { CloudResource } from "./image-copy.ts"
import { RemovalReason } from "./copy-removal.ts"
import { Failure, JobOutcome } from "./job.ts"
import { Spent } from "./spent.ts"
import { Verifies } from "./verification.ts"

const job = { composeId: ComposeId, jobId: JobId, attempt: Schema.Int }
const claim = { ...job, token: AttemptToken }
/** `now` and `jitter` in [0, 1) place the next attempt, should there be one. */
const chance = { now: Millis, jitter: Schema.Number }

export const ComposeCommand = Schema.TaggedUnion({
  RequestCompose: {
    composeId: ComposeId,
    request: SealedComposeRequest,
    builder: Schema.String,
    resolves: Schema.Boolean,
    tests: Schema.optionalKey(Schema.Array(Schema.Int)),
    verifies: Schema.optionalKey(Verifies),
    blueprint: Schema.optionalKey(FromBlueprint),
    resolvesOnly: Schema.optionalKey(Schema.Literal(true))
  },
  StartJob: { ...claim, worker: WorkerId },
  SucceedJob: { ...claim, outcome: JobOutcome, log: Schema.optionalKey(Blob), spent: Schema.optionalKey(Spent) },
  /**
   * `imageGone`: it could not find the image that it is about, so that has to be built again. `report`: of a test that was
   * not passed. `retryAfterMs`: for how long whoever refused has asked to be left alone.
   */
  FailJob: {
    ...claim,
    ...chance,
    failure: Failure,
    imageGone: Schema.optionalKey(Schema.Boolean),
    log: Schema.optionalKey(Blob),
    report: Schema.optionalKey(TestReport),
    retryAfterMs: Schema.optionalKey(Schema.Int),
    spent: Schema.optionalKey(Spent)
  },
  ReturnJob: { ...claim },
  LoseJob: { ...claim, ...chance, reason: Schema.String },
  /** Nobody can even begin it: it fails where it lies. */
  GiveUpJob: { ...job, reason: Schema.String },
  CancelCompose: { composeId: ComposeId, reason: Schema.optionalKey(Schema.String) },
  /** All jobs that have failed, or the one that is named. */
  RetryCompose: { composeId: ComposeId, jobId: Schema.optionalKey(JobId) },
  /** Of a compose that has ended: what was delivered to one target of one image goes. */
  RemoveCopy: { composeId: ComposeId, image: Schema.Int, target: Schema.Int, reason: RemovalReason },
  /** Of a compose that has ended: what one of its deliveries has left behind goes. */
  CondemnLeftovers: {
    composeId: ComposeId, image: Schema.Int, target: Schema.Int, resources: Schema.Array(CloudResource), until: Schema.optionalKey(Millis)
  }
})
export type ComposeCommand = typeof ComposeCommand.Type
export const { RequestCompose, StartJob, SucceedJob, FailJob, ReturnJob, LoseJob, GiveUpJob, CancelCompose, RetryCompose, RemoveCopy, CondemnLeftovers } = ComposeCommand.cases
