/** A worker's report becomes a command; what is big in it goes to the blobs first. */
import { Effect, Schema } from "effect"
import { randomBytes } from "node:crypto"
import { type Compose, type ComposeCommand, FailJob, LoseJob, ReturnJob, StartJob, SucceedJob } from "../../domain/compose.ts"
import { Millis } from "../../domain/ids.ts"
import { Built, type JobOutcome, Resolved, Uploaded } from "../../domain/job.ts"
import { canonical } from "../../domain/manifest.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import type { RunningJob } from "../../domain/scheduling/scheduler.ts"
import type { Claim, Speaker, WorkOutcome, WorkReport } from "../../domain/work.ts"
import { execute } from "../execute.ts"
import { readCompose } from "../read-compose.ts"

type AttemptReport = Exclude<WorkReport, { readonly _tag: "SessionBegan" }>

/**
 * The attempt's end has come before its start: what could not be taken in comes again, and what was said after it does
 * not wait. The end must wait, or the start, once it is there, begins an attempt that nobody will ever end.
 */
export class StartAwaited extends Schema.TaggedError<StartAwaited>()("StartAwaited", { message: Schema.String }) {}

/** Fails with a rejection when the attempt is not this worker's any more. */
export const takeReport = Effect.fn("takeReport")(function*(speaker: Speaker, report: AttemptReport) {
  const { claim: { tenantId, ...claim } } = report
  return yield* execute(
    {
      tenantId,
      messageId: `${claim.jobId}/${claim.token}/${report._tag}`,
      at: now(),
      actor: { kind: "worker", id: `${speaker.pool}/${speaker.worker}` }
    },
    yield* commandOf(speaker, claim, report)
  ).pipe(Effect.catchTag("ComposeRejected", Effect.fnUntraced(function*(rejected) {
    const { compose } = yield* readCompose(tenantId, claim.composeId)
    return yield* report._tag !== "AttemptStarted" && mayBegin(compose, claim)
      ? new StartAwaited({ message: `${claim.jobId} of compose ${claim.composeId} has ended before it began` })
      : rejected
  })))
})

const mayBegin = (compose: Compose, { attempt, jobId, token }: Omit<Claim, "tenantId">): boolean => {
  const job = compose.jobs.get(jobId)
  if (compose.status !== "open" || job?.attempt !== attempt) return false
  return job.state === "queued" || (job.state === "running" && job.token === token)
}

const commandOf = Effect.fnUntraced(function*(speaker: Speaker, claim: Omit<Claim, "tenantId">, report: AttemptReport) {
  switch (report._tag) {
    case "AttemptStarted":
      return StartJob.make({ ...claim, worker: speaker.worker }) as ComposeCommand
    case "AttemptSucceeded": {
      const outcome = yield* outcomeOf(speaker, report.outcome)
      return SucceedJob.make({ ...claim, outcome, ...(yield* archive(report.log)) })
    }
    case "AttemptFailed":
      return FailJob.make({ ...claim, failure: report.failure, now: now(), jitter: jitter(), ...(yield* archive(report.log)) })
    case "AttemptReturned":
      return ReturnJob.make(claim)
  }
})

const outcomeOf = Effect.fnUntraced(function*(speaker: Speaker, outcome: WorkOutcome) {
  switch (outcome._tag) {
    case "Resolved": {
      const { packages } = outcome.lock
      const lock = yield* (yield* Blobs).put(new TextEncoder().encode(canonical(outcome.lock)))
      return Resolved.make({ lock, packages: packages.length, downloadBytes: packages.reduce((sum, { size }) => sum + size, 0) }) as JobOutcome
    }
    case "Built":
      return Built.make({ ...outcome, heldBy: speaker.worker })
    case "Uploaded":
      return Uploaded.make(outcome)
  }
})

const archive = Effect.fnUntraced(function*(log: string | undefined) {
  return log === undefined ? {} : { log: yield* (yield* Blobs).put(Buffer.from(log, "base64")) }
})

/** The worker is gone; the decider says whether the job gets another one. */
export const loseJob = Effect.fn("loseJob")(function*({ tenantId, composeId, jobId, attempt, token }: RunningJob, reason: string) {
  const command = LoseJob.make({ composeId, jobId, attempt, token, reason, now: now(), jitter: jitter() })
  yield* Effect.logWarning("a job was lost", { tenantId, composeId, jobId, attempt, reason })
  return yield* execute({ tenantId, messageId: `${jobId}/${token}/lost`, at: now(), actor: { kind: "system", id: "scheduler" } }, command)
})

const now = () => Millis.make(Date.now())

const jitter = () => randomBytes(4).readUInt32BE() / 2 ** 32
