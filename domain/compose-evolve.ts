/** What an event changes of a compose, also of jobs that it does not name. */
import type { ComposeEvent, JobQueued } from "./compose-events.ts"
import { withRemoval } from "./compose-removal.ts"
import { buildOf, type Compose, isTerminal, withJob } from "./compose-state.ts"
import { uploadOf } from "./copy-removal.ts"
import type { JobId } from "./ids.ts"
import { planOf } from "./job.ts"
import { leftoverKey } from "./leftovers.ts"

export const evolve = (compose: Compose, event: ComposeEvent): Compose => {
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
