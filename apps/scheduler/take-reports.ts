/** What a worker reports of one compose becomes commands, and those one decision; what is big in it goes to the blobs first. */
import { randomBytes } from "node:crypto"
import { Effect, Schema } from "effect"
import type { Blob } from "../../domain/artifact.ts"
import type { TestReport, WorkTestReport } from "../../domain/boot-test.ts"
import { type ComposeCommand, ReturnJob } from "../../domain/compose-commands.ts"
import type { ComposeEvent } from "../../domain/compose-events.ts"
import { type Compose, isLive } from "../../domain/compose-state.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { decideAll, fold } from "../../domain/decider.ts"
import { type ComposeId, Millis, type TenantId } from "../../domain/ids.ts"
import { type Failure, type JobOutcome, Uploaded } from "../../domain/job.ts"
import { canonical } from "../../domain/manifest.ts"
import { Blobs } from "../../domain/ports/blobs.ts"
import { EventLog, LogUnavailable } from "../../domain/ports/event-log.ts"
import { type Actor, composeRef } from "../../domain/recorded.ts"
import type { OpenJob, RunningJob } from "../../domain/scheduling/open-jobs.ts"
import { type Claim, type Speaker, speakerKey, type WorkOutcome, type WorkReport } from "../../domain/work.ts"
import { listed } from "../../domain/verification.ts"
import { type ComposeCache, seeCompose } from "./compose-cache.ts"
import { putEvidence } from "./put-evidence.ts"

export type AttemptReport = Exclude<WorkReport, { readonly _tag: "SessionBegan" }>

/**
 * The attempt's end has come before its start: what could not be taken in comes again, and what was said after it does
 * not wait. The end must wait, or the start, once it is there, begins an attempt that nobody will ever end.
 */
export class StartAwaited extends Schema.TaggedError<StartAwaited>()("StartAwaited", { message: Schema.String }) {}

/** Answers with the claims that are not this worker's any more. All reports are of one compose. */
export const takeReports = Effect.fnUntraced(function*(cache: ComposeCache, speaker: Speaker, reports: ReadonlyArray<AttemptReport>) {
  const { composeId, tenantId } = reports[0]!.claim
  const commands = yield* Effect.forEach(reports, (report) => commandOf(speaker, report))
  const messageId = reports.map(({ _tag, claim }) => `${claim.jobId}/${claim.token}/${_tag}`).join("+")
  const rejected = yield* decideOn(cache, { tenantId, composeId, messageId, actor: { kind: "worker", id: speakerKey(speaker) } }, commands)
  const refused = reports.filter((_, at) => rejected.has(at))
  if (refused.length === 0) return []
  const { compose } = yield* seeCompose(cache, tenantId, composeId)
  const early = refused.find((report) => report._tag !== "AttemptStarted" && mayBegin(compose, report.claim))
  if (early !== undefined) return yield* new StartAwaited({ message: `${early.claim.jobId} of compose ${composeId} has ended before it began` })
  return refused.map(({ claim }) => claim)
})

const mayBegin = (compose: Compose, { attempt, jobId, token }: Claim): boolean => {
  const job = compose.jobs.get(jobId)
  if (job === undefined || !isLive(compose, job) || job.attempt !== attempt) return false
  return job.state === "queued" || (job.state === "running" && job.token === token)
}

interface Intent {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  readonly messageId: string
  readonly actor: Actor
}

/** All commands in one decision; which of them were rejected. Read from the log once more if it knows better than the cache. */
const decideOn = Effect.fnUntraced(
  function*(cache: ComposeCache, { actor, composeId, messageId, tenantId }: Intent, commands: ReadonlyArray<ComposeCommand>) {
    const seen = yield* seeCompose(cache, tenantId, composeId)
    const { events: [first, ...rest], rejected } = decideAll(ComposeDecider, seen.compose, commands)
    // A rejection is final only if it was decided on what the log has.
    if (first === undefined) {
      if (rejected.size > 0 && (yield* isStale(cache, seen, composeId))) return yield* new Stale()
      return rejected
    }
    const events: readonly [ComposeEvent, ...Array<ComposeEvent>] = [first, ...rest]
    yield* (yield* EventLog).append(composeRef(tenantId, composeId), seen.revision, { messageId, at: now(), actor, events }).pipe(
      Effect.tapError(() => Effect.sync(() => cache.forget(composeId)))
    )
    cache.set(composeId, { ...seen, compose: fold(ComposeDecider, events, seen.compose), revision: seen.revision + 1 })
    return rejected
  },
  Effect.retry({ while: (error) => error._tag === "WrongRevision" || error._tag === "Stale", times: 10 }),
  Effect.catchTag(["WrongRevision", "Stale"], () => new LogUnavailable({ message: "a compose is changing too fast to be written" }))
)

class Stale extends Schema.TaggedError<Stale>()("Stale", {}) {}

const isStale = Effect.fnUntraced(function*(cache: ComposeCache, { revision, tenantId }: { readonly revision: number; readonly tenantId: TenantId }, composeId: ComposeId) {
  cache.forget(composeId)
  return (yield* seeCompose(cache, tenantId, composeId)).revision !== revision
})

const commandOf = Effect.fnUntraced(function*(speaker: Speaker, report: AttemptReport): Effect.fn.Return<ComposeCommand, BlobsError, Blobs> {
  const { tenantId: _, ...claim } = report.claim
  switch (report._tag) {
    case "AttemptStarted":
      return { _tag: "StartJob", ...claim, worker: speaker.worker }
    case "AttemptSucceeded": {
      const outcome = yield* outcomeOf(speaker, report.outcome)
      return { _tag: "SucceedJob", ...claim, outcome, ...(yield* archive(report.log)), ...(report.spent && { spent: report.spent }) }
    }
    case "AttemptFailed": {
      const { failure, imageGone, log, retryAfterMs, spent } = report
      const tested = yield* testedOf(report.report)
      return {
        _tag: "FailJob", ...claim, ...chance(), failure,
        ...(imageGone !== undefined && { imageGone }), ...(retryAfterMs !== undefined && { retryAfterMs }), ...tested, ...(yield* archive(log)), ...(spent && { spent })
      }
    }
    case "AttemptReturned":
      return ReturnJob.make(claim)
  }
})

type BlobsError = Effect.Error<ReturnType<Blobs["Service"]["put"]>>

const outcomeOf = Effect.fnUntraced(function*(speaker: Speaker, outcome: WorkOutcome): Effect.fn.Return<JobOutcome, BlobsError, Blobs> {
  switch (outcome._tag) {
    case "Resolved": {
      const { packages } = outcome.lock
      const lock = yield* (yield* Blobs).put(new TextEncoder().encode(canonical(outcome.lock)))
      return { _tag: "Resolved", lock, packages: packages.length, downloadBytes: packages.reduce((sum, { size }) => sum + size, 0) }
    }
    case "Built":
      return yield* builtBy(speaker, outcome)
    case "Verified":
      return { ...outcome, ...listed(outcome.differences, outcome.more), by: speaker.worker }
    case "Tested": {
      const { reason, report, verdict } = outcome
      return { _tag: "Tested", verdict, ...(reason !== undefined && { reason }), ...(yield* testedOf(report)) }
    }
    case "Uploaded":
      return Uploaded.make(outcome)
    case "Removed":
      return outcome
  }
})

/** What a test has seen goes to the blobs. */
const testedOf = Effect.fnUntraced(function*(report: WorkTestReport | undefined): Effect.fn.Return<{ readonly report?: TestReport }, BlobsError, Blobs> {
  if (report === undefined) return {}
  const boots = yield* Effect.forEach(report.boots, Effect.fnUntraced(function*({ console, screenshot, ...boot }) {
    return { ...boot, console: yield* put(console), ...(screenshot !== undefined && { screenshot: yield* put(screenshot) }) }
  }))
  return { report: { accelerator: report.accelerator, boots } }
})

const put = (base64: string): Effect.Effect<Blob, BlobsError, Blobs> =>
  Effect.flatMap(Blobs, (blobs) => blobs.put(Buffer.from(base64, "base64")))

const builtBy = Effect.fnUntraced(function*({ worker }: Speaker, { evidence, ...built }: Extract<WorkOutcome, { readonly _tag: "Built" }>) {
  return { ...built, heldBy: worker, ...(evidence && { evidence: yield* putEvidence(evidence) }) }
})

const archive = Effect.fnUntraced(function*(log: string | undefined) {
  return log === undefined ? {} : { log: yield* put(log) }
})

const system: Actor = { kind: "system", id: "scheduler" }

/** The worker is gone; the decider says whether the job gets another one. */
export const loseJob = Effect.fn("loseJob")(function*(cache: ComposeCache, { attempt, composeId, jobId, tenantId, token }: RunningJob, reason: string) {
  yield* Effect.logWarning("a job was lost", { tenantId, composeId, jobId, attempt, reason })
  const command: ComposeCommand = { _tag: "LoseJob", composeId, jobId, attempt, token, reason, ...chance() }
  return yield* decideOn(cache, { tenantId, composeId, messageId: `${jobId}/${token}/lost`, actor: system }, [command])
})

/** The attempt is ended from here, since its worker does not end it. */
export const failJob = Effect.fn("failJob")(function*(cache: ComposeCache, { attempt, composeId, jobId, tenantId, token }: RunningJob, failure: Failure) {
  yield* Effect.logWarning("a job was ended", { tenantId, composeId, jobId, attempt, reason: failure.message })
  const command: ComposeCommand = { _tag: "FailJob", composeId, jobId, attempt, token, failure, ...chance() }
  return yield* decideOn(cache, { tenantId, composeId, messageId: `${jobId}/${token}/${failure.class}`, actor: system }, [command])
})

/** Nobody has been able to begin it. */
export const giveUpJob = Effect.fn("giveUpJob")(function*(cache: ComposeCache, { attempt, composeId, jobId, revision, tenantId }: OpenJob, reason: string) {
  yield* Effect.logError("a job was given up", { tenantId, composeId, jobId, attempt, reason })
  const command: ComposeCommand = { _tag: "GiveUpJob", composeId, jobId, attempt, reason }
  return yield* decideOn(cache, { tenantId, composeId, messageId: `${jobId}/${revision}/given-up`, actor: system }, [command])
})

const now = () => Millis.make(Date.now())

const chance = () => ({ now: now(), jitter: randomBytes(4).readUInt32BE() / 2 ** 32 })
