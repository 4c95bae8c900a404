/** How the attempts of a compose's jobs begin and end, and what follows from that for its other jobs and for itself. */
import { Result } from "effect"
import type { FailJob, GiveUpJob, LoseJob, ReturnJob, StartJob, SucceedJob } from "./compose-commands.ts"
import type { ComposeEvent, JobQueued } from "./compose-events.ts"
import { evolve } from "./compose-evolve.ts"
import { type Decision, nothing, reject } from "./compose-rejected.ts"
import { removed } from "./compose-removal.ts"
import { buildOf, builtFor, type Compose, isLive, isTerminal, type Job, sourceOf } from "./compose-state.ts"
import { sparedBy } from "./copy-removal.ts"
import { type AttemptToken, type ComposeId, type JobId, Millis } from "./ids.ts"
import { lossesAllowed, rebuildsAllowed, retryDelayMs } from "./job.ts"

export const startJob = (command: typeof StartJob.Type, compose: Compose): Decision => {
  const { composeId, jobId, attempt, worker, token } = command
  const job = compose.jobs.get(jobId)
  if (job === undefined) return reject(composeId, "NotFound")
  if (job.token === token && job.attempt === attempt && job.state !== "canceled") return nothing
  if (!isLive(compose, job) || job.state !== "queued" || job.attempt !== attempt) return reject(composeId, "NotCurrent")
  return Result.succeed([{ _tag: "JobStarted", composeId, jobId, attempt, worker, token }])
}

interface Claim {
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

export const succeedJob = (command: typeof SucceedJob.Type, compose: Compose): Decision =>
  settle(command, compose, (job) => {
    const { composeId, jobId, attempt, outcome, log, spent } = command
    const succeeded: ComposeEvent = { _tag: "JobSucceeded", composeId, jobId, attempt, outcome, ...(log && { log }), ...(spent && { spent }) }
    const then = evolve(compose, succeeded)
    const next = [...then.jobs.values()].filter((other) => other.after === job.jobId && other.state === "waiting")
    if (job.kind === "delete") return [succeeded, removed(compose, job)]
    return conclude(compose, [succeeded, ...next.map((other) => queue(then, other, other.attempt + 1))])
  })

export const failJob = (command: typeof FailJob.Type, compose: Compose): Decision =>
  settle(command, compose, (job) => {
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
    const failures = attempt - job.countsFrom + 1 - job.losses
    // A verdict stands: the same image does not boot any better the next time.
    const delay = report === undefined ? retryDelayMs(failure.class, failures, jitter, retryAfterMs) : undefined
    if (delay === undefined || source === "never") return conclude(compose, [failedBy(true)])
    return [failedBy(false), ...(source === "there" ? [queue(compose, job, attempt + 1, Millis.make(now + delay))] : [])]
  })

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

export const returnJob = (command: typeof ReturnJob.Type, compose: Compose): Decision =>
  settle(command, compose, (job) => {
    const { attempt, composeId, jobId } = command
    const source = sourceOf(compose, job)
    return source === "there"
      ? [{ _tag: "JobReturned", composeId, jobId, attempt }, queue(compose, job, attempt)]
      : conclude(compose, [imageAway(compose, job, source === "never")])
  })

export const giveUpJob = (command: typeof GiveUpJob.Type, compose: Compose): Decision => {
  const { composeId, jobId, attempt, reason } = command
  const job = compose.jobs.get(jobId)
  if (job === undefined) return reject(composeId, "NotFound")
  if (!isLive(compose, job) || job.state !== "queued" || job.attempt !== attempt) return reject(composeId, "NotCurrent")
  const failure = { class: "platform" as const, message: reason }
  return Result.succeed(conclude(compose, [{ _tag: "JobFailed", composeId, jobId, attempt, failure, final: true }]))
}

export const loseJob = (command: typeof LoseJob.Type, compose: Compose): Decision =>
  settle(command, compose, (job) => {
    const { composeId, jobId, attempt, reason } = command
    const source = sourceOf(compose, job)
    const final = job.losses >= lossesAllowed || source === "never"
    const lost: ComposeEvent = { _tag: "JobLost", composeId, jobId, attempt, reason, final }
    if (final) return conclude(compose, [lost])
    return [lost, ...(source === "there" ? [queue(compose, job, attempt + 1)] : [])]
  })

/** The job's next attempt; `after`: not before that time. */
export const queue = (compose: Compose, job: Job, attempt: number, after?: Millis): typeof JobQueued.Type => {
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

/** Adds the compose's own end when these events leave no job open. */
const conclude = (compose: Compose, events: ReadonlyArray<ComposeEvent>): ReadonlyArray<ComposeEvent> => {
  if (compose.status !== "open") return events
  const jobs = [...events.reduce(evolve, compose).jobs.values()].filter(({ kind }) => kind !== "delete")
  if (!jobs.every((job) => isTerminal(job.state))) return events
  const outcome = jobs.every((job) => job.state === "succeeded") ? "succeeded" : "failed"
  return [...events, { _tag: "ComposeFinished", composeId: compose.composeId!, outcome, ...sparedBy(compose.request?.labels) }]
}
