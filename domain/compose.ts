/** The compose: a tenant's request, the jobs it takes, their attempts, and how it ended. */
import { Result, Schema } from "effect"
import type {
  CancelCompose, ComposeCommand, CondemnLeftovers, FailJob, GiveUpJob, LoseJob, RemoveCopy, RequestCompose, RetryCompose, ReturnJob, StartJob
} from "./compose-commands.ts"
import type { ComposeEvent, JobQueued } from "./compose-events.ts"
import type { SealedComposeRequest } from "./compose-request.ts"
import { condemn, condemnAll, removed, withRemoval } from "./compose-removal.ts"
import { type RemovalReason, sparedBy, uploadOf } from "./copy-removal.ts"
import type { Decider } from "./decider.ts"
import { type AttemptToken, ComposeId, JobId, Millis, type WorkerId } from "./ids.ts"
import { leftoverKey } from "./leftovers.ts"
import { type JobOutcome, lossesAllowed, type PlannedJob, planOf, rebuildsAllowed, retryDelayMs } from "./job.ts"
import type { Verifies } from "./verification.ts"

/**
 * `NotCurrent`: the attempt is over or belongs to another worker; whoever asked should stop.
 * `Ended`: the compose has its outcome already. `NotEnded`: it has none yet. `NotFailed`: there is nothing to try again.
 * `NotDelivered`: there is no copy that could go.
 */
export class ComposeRejected extends Schema.TaggedError<ComposeRejected>()("ComposeRejected", {
  composeId: ComposeId,
  reason: Schema.Literals(["NotFound", "NotCurrent", "Ended", "NotEnded", "NotFailed", "NotDelivered"])
}) {}

export type JobState = "waiting" | "queued" | "running" | "succeeded" | "failed" | "skipped" | "canceled"

export interface Job extends PlannedJob {
  readonly state: JobState
  readonly attempt: number
  /** The attempt from which failures and losses count: the first, or the first since somebody asked for a retry. */
  readonly countsFrom: number
  readonly losses: number
  /** How often it was done again because its image was gone. */
  readonly rebuilds: number
  readonly worker?: WorkerId
  readonly token?: AttemptToken
}

export interface Compose {
  readonly status: "absent" | "open" | "succeeded" | "failed" | "canceled"
  readonly composeId: ComposeId | undefined
  readonly request: SealedComposeRequest | undefined
  readonly builder: string
  readonly verifies: Verifies | undefined
  readonly jobs: ReadonlyMap<JobId, Job>
  readonly outcomes: ReadonlyMap<JobId, JobOutcome>
  /** Jobs that remove copies, and why. */
  readonly removals: ReadonlyMap<JobId, RemovalReason>
  /** Uploads whose copies are gone. */
  readonly removed: ReadonlySet<JobId>
  /** What uploads have left behind and is on record as to go, since the compose was opened last. */
  readonly leftovers: ReadonlySet<string>
  /** When nobody removes any more what an upload had left behind: before that it is not done again. */
  readonly clearedAt: ReadonlyMap<JobId, Millis>
}

const initial: Compose = {
  status: "absent", composeId: undefined, request: undefined, builder: "", verifies: undefined, jobs: new Map(), outcomes: new Map(),
  removals: new Map(), removed: new Set(), leftovers: new Set(), clearedAt: new Map()
}

const evolve = (compose: Compose, event: ComposeEvent): Compose => {
  switch (event._tag) {
    case "ComposeRequested":
      return {
        status: "open",
        composeId: event.composeId,
        request: event.request,
        builder: event.builder,
        verifies: event.verifies,
        jobs: new Map(planOf(event.request.images, event.resolves, event.tests, event.resolvesOnly).map((planned) =>
          [planned.jobId, { ...planned, state: "waiting", attempt: 0, countsFrom: 1, losses: 0, rebuilds: 0 }])),
        outcomes: new Map(),
        removals: new Map(),
        removed: new Set(),
        leftovers: new Set(),
        clearedAt: new Map()
      }
    case "JobQueued":
      // The last holder's token stays, so that its late repetitions are known and never taken for a new start.
      return withJob(revived(compose, event), event.jobId, (job) => ({ ...job, state: "queued", attempt: event.attempt }))
    case "JobStarted":
      return withJob(compose, event.jobId, (job) => ({ ...job, state: "running", worker: event.worker, token: event.token }))
    case "JobSucceeded":
      return {
        ...withJob(withFreshCounts(compose, event.jobId), event.jobId, (job) => ({ ...job, state: "succeeded" })),
        outcomes: new Map(compose.outcomes).set(event.jobId, event.outcome)
      }
    case "JobFailed":
      return event.final ? withFailed(compose, event.jobId) : withJob(compose, event.jobId, (job) => ({ ...job, state: "waiting" }))
    case "JobLost": {
      const lost = withJob(compose, event.jobId, (job) => ({ ...job, state: "waiting", losses: job.losses + 1 }))
      return event.final ? withFailed(lost, event.jobId) : lost
    }
    case "JobReturned":
      return withJob(compose, event.jobId, (job) => ({ ...job, state: "waiting" }))
    case "JobCanceled":
      return withJob(compose, event.jobId, (job) => ({ ...job, state: "canceled" }))
    case "ImageGone":
      return withoutImage(compose, event.image)
    case "ComposeReopened":
      return { ...compose, status: "open", leftovers: new Set() }
    case "ComposeCanceled":
      return { ...compose, status: "canceled" }
    case "ComposeFinished":
      return { ...compose, status: event.outcome }
    case "CopyCondemned":
      return withRemoval(compose, event.image, event.target, event.reason)
    case "CopyRemoved":
      return { ...compose, removed: new Set(compose.removed).add(uploadOf(event.image, event.target)) }
    case "LeftoversCondemned": {
      const upload = uploadOf(event.image, event.target)
      const leftovers = compose.leftovers.union(new Set(event.resources.map((each) => leftoverKey(upload, each))))
      return { ...compose, leftovers, ...(event.until !== undefined && { clearedAt: new Map(compose.clearedAt).set(upload, event.until) }) }
    }
  }
}

// Events are written as they are: whoever stores them checks every field, and a million a day need not be checked twice.
type Decision = Result.Result<ReadonlyArray<ComposeEvent>, ComposeRejected>

const decide = (command: ComposeCommand, compose: Compose): Decision => {
  switch (command._tag) {
    case "RequestCompose":
      return request(command, compose)
    case "StartJob":
      return start(command, compose)
    case "SucceedJob":
      return settle(command, compose, (job) => {
        const { composeId, jobId, attempt, outcome, log, spent } = command
        const succeeded: ComposeEvent = { _tag: "JobSucceeded", composeId, jobId, attempt, outcome, ...(log && { log }), ...(spent && { spent }) }
        const then = evolve(compose, succeeded)
        const next = [...then.jobs.values()].filter((other) => other.after === job.jobId && other.state === "waiting")
        if (job.kind === "delete") return [succeeded, removed(compose, job)]
        return conclude(compose, [succeeded, ...next.map((other) => queue(then, other, other.attempt + 1))])
      })
    case "FailJob":
      return settle(command, compose, (job) => fail(command, compose, job))
    case "GiveUpJob":
      return giveUp(command, compose)
    case "LoseJob":
      return settle(command, compose, (job) => lose(command, compose, job))
    case "ReturnJob":
      return settle(command, compose, (job) => giveBack(command, compose, job))
    case "CancelCompose":
      return cancel(command, compose)
    case "RetryCompose":
      return retry(command, compose)
    case "RemoveCopy":
      return removeCopy(command, compose)
    case "CondemnLeftovers":
      return condemnLeftovers(command, compose)
  }
}

export const ComposeDecider: Decider<Compose, ComposeEvent, ComposeCommand, ComposeRejected> = { initial, evolve, decide }

export const isTerminal = (state: JobState): boolean =>
  state === "succeeded" || state === "failed" || state === "skipped" || state === "canceled"

/** Tests and uploads are about an image that another job has built, whatever else they wait for. */
const buildOf = ({ jobs }: Compose, { image, kind }: Job): Job | undefined =>
  kind === "upload" || kind === "test" ? jobs.get(JobId.make(`${image}-build`)) : undefined

/** How the image was built that a job is about. */
export const builtFor = (compose: Compose, job: Job): JobOutcome | undefined => {
  const build = buildOf(compose, job)
  return build && compose.outcomes.get(build.jobId)
}

/** Whether its jobs may be worked on; those that remove copies come after the end. */
export const isLive = (compose: Compose, job: Job): boolean => compose.status === "open" || (job.kind === "delete" && compose.status !== "absent")

// Deliveries repeat. A command whose outcome is on the stream already adds nothing, and is no error.
const nothing: Decision = Result.succeed([])

const reject = (composeId: ComposeId, reason: ComposeRejected["reason"]): Decision =>
  Result.fail(new ComposeRejected({ composeId, reason }))

const request = (command: typeof RequestCompose.Type, compose: Compose): Decision => {
  if (compose.status !== "absent") return nothing
  const { blueprint, composeId, request, builder, resolves, resolvesOnly, tests, verifies } = command
  const requested: ComposeEvent = {
    _tag: "ComposeRequested", composeId, request, builder, resolves, ...(tests && { tests }), ...(verifies && { verifies }), ...(blueprint && { blueprint }), ...(resolvesOnly && { resolvesOnly })
  }
  const planned = evolve(compose, requested)
  const roots = [...planned.jobs.values()].filter((job) => job.after === undefined)
  return Result.succeed([requested, ...roots.map((job) => queue(planned, job, 1))])
}

const start = (command: typeof StartJob.Type, compose: Compose): Decision => {
  const { composeId, jobId, attempt, worker, token } = command
  const job = compose.jobs.get(jobId)
  if (job === undefined) return reject(composeId, "NotFound")
  if (job.token === token && job.attempt === attempt && job.state !== "canceled") return nothing
  if (!isLive(compose, job) || job.state !== "queued" || job.attempt !== attempt) return reject(composeId, "NotCurrent")
  return Result.succeed([{ _tag: "JobStarted", composeId, jobId, attempt, worker, token }])
}

interface Claim {
  readonly _tag: string
  readonly composeId: ComposeId
  readonly jobId: JobId
  readonly attempt: number
  readonly token: AttemptToken
}

/** Lets only the holder of the running attempt speak, and hears a repetition of its last word as silence. */
const settle = (command: Claim, compose: Compose, events: (job: Job) => ReadonlyArray<ComposeEvent>): Decision => {
  const job = compose.jobs.get(command.jobId)
  if (job === undefined) return reject(command.composeId, "NotFound")
  const held = job.token === command.token && job.attempt === command.attempt
  if (held && job.state === "running" && isLive(compose, job)) return Result.succeed(events(job))
  return held && job.state !== "canceled" ? nothing : reject(command.composeId, "NotCurrent")
}

const queue = (compose: Compose, job: Job, attempt: number, after?: Millis): typeof JobQueued.Type => {
  const clearedAt = compose.clearedAt.get(job.jobId)
  const notBefore = clearedAt === undefined || (after !== undefined && after > clearedAt) ? after : clearedAt
  return {
    _tag: "JobQueued",
    composeId: compose.composeId!,
    jobId: job.jobId,
    attempt,
    kind: job.kind,
    image: job.image,
    ...(job.target !== undefined && { target: job.target }),
    request: compose.request!.images[job.image]!,
    distribution: compose.request!.distribution,
    ...(notBefore !== undefined && { notBefore }),
    ...(compose.request!.priority !== undefined && { priority: compose.request!.priority }),
    ...(compose.verifies !== undefined && job.kind === "build" && { avoid: compose.verifies.worker }),
    ...heldFor(compose, job)
  }
}

const heldFor = (compose: Compose, job: Job): Partial<Pick<typeof JobQueued.Type, "held">> => {
  const built = builtFor(compose, job)
  return built?._tag === "Built" ? { held: { worker: built.heldBy, digest: built.artifact.digest } } : {}
}

const fail = (command: typeof FailJob.Type, compose: Compose, job: Job): ReadonlyArray<ComposeEvent> => {
  const { composeId, jobId, attempt, failure, imageGone = false, log, now, jitter, report, retryAfterMs, spent } = command
  const failedBy = (final: boolean): ComposeEvent =>
    ({ _tag: "JobFailed", composeId, jobId, attempt, failure, final, ...(log && { log }), ...(report && { report }), ...(spent && { spent }) })
  const source = sourceOf(compose, job)
  // Only what is about an image can miss one.
  const build = imageGone ? buildOf(compose, job) : undefined
  if (build !== undefined && source === "coming") return [failedBy(false)]
  if (build !== undefined && source === "there" && build.rebuilds < rebuildsAllowed) {
    return [failedBy(false), ...rebuild(evolve(compose, failedBy(false)), build)]
  }
  // A verdict stands: the same image does not boot any better the next time.
  const delay = report === undefined ? retryDelayMs(failure.class, attempt - job.countsFrom + 1 - job.losses, jitter, retryAfterMs) : undefined
  if (delay === undefined || source === "never") return conclude(compose, [failedBy(true)])
  return [failedBy(false), ...(source === "there" ? [queue(compose, job, attempt + 1, Millis.make(now + delay))] : [])]
}

/** Jobs that wait for a slot would find it no more either: they wait for the build, as a new attempt, so that what lies on queues is void. */
const rebuild = (compose: Compose, build: Job): ReadonlyArray<ComposeEvent> => {
  const built = compose.outcomes.get(build.jobId)
  if (built?._tag !== "Built") return []
  const gone: ComposeEvent = { _tag: "ImageGone", composeId: compose.composeId!, image: build.image, digest: built.artifact.digest }
  const early = [...compose.jobs.values()].filter((job) => buildOf(compose, job)?.jobId === build.jobId && job.state === "queued")
  return [gone, ...early.map((job) => imageAway(compose, job, false)), queue(evolve(compose, gone), build, build.attempt + 1)]
}

const imageAway = (compose: Compose, { attempt, jobId }: Job, final: boolean): ComposeEvent =>
  ({ _tag: "JobFailed", composeId: compose.composeId!, jobId, attempt, failure: { class: "platform", message: "its image is gone" }, final })

/** Whether what the job works on is there, is being made (again), or will never be. */
const sourceOf = (compose: Compose, { after }: Job): "there" | "coming" | "never" => {
  const state = after === undefined ? "succeeded" : compose.jobs.get(after)?.state ?? "failed"
  if (state === "succeeded") return "there"
  return isTerminal(state) ? "never" : "coming"
}

const giveBack = ({ attempt, composeId, jobId }: typeof ReturnJob.Type, compose: Compose, job: Job): ReadonlyArray<ComposeEvent> => {
  const source = sourceOf(compose, job)
  return source === "there"
    ? [{ _tag: "JobReturned", composeId, jobId, attempt }, queue(compose, job, attempt)]
    : conclude(compose, [imageAway(compose, job, source === "never")])
}

const giveUp = (command: typeof GiveUpJob.Type, compose: Compose): Decision => {
  const { composeId, jobId, attempt, reason } = command
  const job = compose.jobs.get(jobId)
  if (job === undefined) return reject(composeId, "NotFound")
  if (!isLive(compose, job) || job.state !== "queued" || job.attempt !== attempt) return reject(composeId, "NotCurrent")
  const failure = { class: "platform" as const, message: reason }
  return Result.succeed(conclude(compose, [{ _tag: "JobFailed", composeId, jobId, attempt, failure, final: true }]))
}

const lose = (command: typeof LoseJob.Type, compose: Compose, job: Job): ReadonlyArray<ComposeEvent> => {
  const { composeId, jobId, attempt, reason } = command
  const source = sourceOf(compose, job)
  const final = job.losses >= lossesAllowed || source === "never"
  const lost: ComposeEvent = { _tag: "JobLost", composeId, jobId, attempt, reason, final }
  if (final) return conclude(compose, [lost])
  return [lost, ...(source === "there" ? [queue(compose, job, attempt + 1)] : [])]
}

const cancel = (command: typeof CancelCompose.Type, compose: Compose): Decision => {
  const { composeId, reason } = command
  if (compose.status === "absent") return reject(composeId, "NotFound")
  if (compose.status === "canceled") return nothing
  if (compose.status !== "open") return reject(composeId, "Ended")
  return Result.succeed([
    ...[...compose.jobs.values()].filter((job) => job.kind !== "delete" && (job.state === "queued" || job.state === "running"))
      .map(({ jobId, attempt }): ComposeEvent => ({ _tag: "JobCanceled", composeId, jobId, attempt })),
    { _tag: "ComposeCanceled", composeId, ...(reason !== undefined && { reason }), ...sparedBy(compose.request?.labels) }
  ])
}

const retry = (command: typeof RetryCompose.Type, compose: Compose): Decision => {
  const { composeId, jobId } = command
  if (compose.status === "absent" || (jobId !== undefined && !compose.jobs.has(jobId))) return reject(composeId, "NotFound")
  if (compose.status === "canceled" || compose.status === "succeeded") return reject(composeId, "Ended")
  const failed = [...compose.jobs.values()].filter((job) =>
    job.kind !== "delete" && job.state === "failed" && sourceOf(compose, job) === "there" && (jobId === undefined || job.jobId === jobId))
  // Asked twice, the second finds them queued already.
  if (failed.length === 0) return compose.status === "open" ? nothing : reject(composeId, "NotFailed")
  const reopened: ReadonlyArray<ComposeEvent> = compose.status === "failed" ? [{ _tag: "ComposeReopened", composeId }] : []
  return Result.succeed([
    ...reopened,
    ...failed.map((job) => queue(compose, job, job.attempt + 1))
  ])
}

/** Adds the compose's own end when these events leave no job open. */
const conclude = (compose: Compose, events: ReadonlyArray<ComposeEvent>): ReadonlyArray<ComposeEvent> => {
  if (compose.status !== "open") return events
  const jobs = [...events.reduce(evolve, compose).jobs.values()].filter(({ kind }) => kind !== "delete")
  if (!jobs.every((job) => isTerminal(job.state))) return events
  const outcome = jobs.every((job) => job.state === "succeeded") ? "succeeded" : "failed"
  return [...events, { _tag: "ComposeFinished", composeId: compose.composeId!, outcome, ...sparedBy(compose.request?.labels) }]
}

const removeCopy = (command: typeof RemoveCopy.Type, compose: Compose): Decision => {
  const judged = condemn(command, compose)
  if (judged === undefined) return nothing
  if (typeof judged === "string") return reject(command.composeId, judged)
  return Result.succeed([judged.event, queue(judged.then, judged.job, judged.job.attempt + 1)])
}

const condemnLeftovers = (command: typeof CondemnLeftovers.Type, compose: Compose): Decision => {
  const judged = condemnAll(command, compose)
  return typeof judged === "string" ? reject(command.composeId, judged) : Result.succeed(judged)
}

const withJob = (compose: Compose, jobId: JobId, change: (job: Job) => Job): Compose => {
  const job = compose.jobs.get(jobId)
  return job === undefined ? compose : { ...compose, jobs: new Map(compose.jobs).set(jobId, change(job)) }
}

/** Its build counts anew, and what needs the image waits for it; what is delivered stays delivered. A test counts for the image that it has seen. */
const withoutImage = (compose: Compose, image: number): Compose => {
  const build = [...compose.jobs.values()].find((job) => job.image === image && job.kind === "build")
  if (build === undefined) return compose
  const outcomes = new Map(compose.outcomes)
  outcomes.delete(build.jobId)
  const again = { ...build, state: "waiting" as const, countsFrom: build.attempt + 1, losses: 0, rebuilds: build.rebuilds + 1 }
  const jobs = new Map(compose.jobs).set(build.jobId, again)
  for (const job of compose.jobs.values()) {
    const isNeeded = job.image === image && job.kind === "test" && job.state === "succeeded" && [...jobs.values()].some(({ after, state }) => after === job.jobId && !isTerminal(state))
    if (isNeeded) jobs.set(job.jobId, { ...job, state: "waiting" })
  }
  return { ...compose, outcomes, jobs }
}

/** What has waited for this job begins with a full count, also when it was done again. */
const withFreshCounts = (compose: Compose, jobId: JobId): Compose => {
  const behind = [...compose.jobs.values()].filter((job) => job.after === jobId && job.state === "waiting" && job.attempt > 0)
  return behind.reduce((then, job) => withJob(then, job.jobId, () => ({ ...job, countsFrom: job.attempt + 1, losses: 0 })), compose)
}

/** A failed job that is queued again starts its count anew, and what has come to nothing for its sake waits again. */
const revived = (compose: Compose, { jobId, attempt }: typeof JobQueued.Type): Compose => {
  const failed = compose.jobs.get(jobId)
  if (failed?.state !== "failed") return compose
  const jobs = new Map(compose.jobs)
  const awake = new Set([jobId])
  for (const job of jobs.values()) {
    if (job.jobId === buildOf(compose, failed)?.jobId) jobs.set(job.jobId, { ...job, rebuilds: 0 })
    if (job.jobId === jobId) jobs.set(jobId, { ...job, countsFrom: attempt, losses: 0 })
    if (job.after !== undefined && awake.has(job.after) && (job.state === "skipped" || job.state === "failed")) {
      awake.add(job.jobId)
      jobs.set(job.jobId, { ...job, state: "waiting" })
    }
  }
  return { ...compose, jobs }
}

/** The job has failed for good, and all that wait for it, near or far, will never run. What is done, or under way, is not touched. */
const withFailed = (compose: Compose, jobId: JobId): Compose => {
  const jobs = new Map(compose.jobs)
  const failed = new Set([jobId])
  for (const job of jobs.values()) {
    if (job.jobId === jobId) jobs.set(jobId, { ...job, state: "failed" })
    if (job.after !== undefined && failed.has(job.after) && job.state === "waiting") {
      failed.add(job.jobId)
      jobs.set(job.jobId, { ...job, state: "skipped" })
    }
  }
  return { ...compose, jobs }
}
