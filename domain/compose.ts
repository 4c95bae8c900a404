/** The compose: a tenant's request, the jobs it takes, their attempts, and how it ended. */
import { Result } from "effect"
import type { CancelCompose, ComposeCommand, CondemnLeftovers, RemoveCopy, RequestCompose, RetryCompose } from "./compose-commands.ts"
import type { ComposeEvent } from "./compose-events.ts"
import { evolve } from "./compose-evolve.ts"
import { failJob, giveUpJob, loseJob, queue, returnJob, startJob, succeedJob } from "./compose-jobs.ts"
import { type ComposeRejected, type Decision, nothing, reject } from "./compose-rejected.ts"
import { condemn, condemnAll } from "./compose-removal.ts"
import { absent, type Compose, sourceOf } from "./compose-state.ts"
import { sparedBy } from "./copy-removal.ts"
import type { Decider } from "./decider.ts"

const decide = (command: ComposeCommand, compose: Compose): Decision => {
  switch (command._tag) {
    case "RequestCompose":
      return request(command, compose)
    case "StartJob":
      return startJob(command, compose)
    case "SucceedJob":
      return succeedJob(command, compose)
    case "FailJob":
      return failJob(command, compose)
    case "GiveUpJob":
      return giveUpJob(command, compose)
    case "LoseJob":
      return loseJob(command, compose)
    case "ReturnJob":
      return returnJob(command, compose)
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

export const ComposeDecider: Decider<Compose, ComposeEvent, ComposeCommand, ComposeRejected> = { initial: absent, evolve, decide }

const request = (command: typeof RequestCompose.Type, compose: Compose): Decision => {
  if (compose.status !== "absent") return nothing
  const { blueprint, composeId, request, builder, resolves, resolvesOnly, tests, verifies } = command
  const requested: ComposeEvent = {
    _tag: "ComposeRequested", composeId, request, builder, resolves,
    ...(tests && { tests }), ...(verifies && { verifies }), ...(blueprint && { blueprint }), ...(resolvesOnly && { resolvesOnly })
  }
  const planned = evolve(compose, requested)
  const roots = [...planned.jobs.values()].filter((job) => job.after === undefined)
  return Result.succeed([requested, ...roots.map((job) => queue(planned, job, 1))])
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
