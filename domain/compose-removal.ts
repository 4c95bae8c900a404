/** Copies of images that go after their compose has ended, and what deliveries have left behind. */
import type { CondemnLeftovers, RemoveCopy } from "./compose-commands.ts"
import type { ComposeEvent } from "./compose-events.ts"
import type { ComposeRejected } from "./compose-rejected.ts"
import type { Compose, Job } from "./compose-state.ts"
import { removalOf, type RemovalReason, uploadOf } from "./copy-removal.ts"
import { isOfCopy, leftoverKey } from "./leftovers.ts"

type Refused = ComposeRejected["reason"]

/** What is to be recorded, and the job that removes it with the compose as it is then. */
export interface Condemned {
  readonly event: ComposeEvent
  readonly then: Compose
  readonly job: Job
}

/** Nothing where it is gone, or on its way. */
export const condemn = ({ composeId, image, reason, target }: typeof RemoveCopy.Type, compose: Compose): Refused | Condemned | undefined => {
  const upload = compose.jobs.get(uploadOf(image, target))
  if (upload === undefined) return "NotFound"
  // Its quota is settled with its end, and what is stored must have been counted before it is given back.
  if (compose.status === "open") return "NotEnded"
  if (compose.removed.has(upload.jobId)) return undefined
  if (upload.state !== "succeeded") return "NotDelivered"
  const known = compose.jobs.get(removalOf(image, target))
  if (known !== undefined && known.state !== "failed") return undefined
  const then = withRemoval(compose, image, target, reason)
  return { event: { _tag: "CopyCondemned", composeId, image, target, reason }, then, job: then.jobs.get(removalOf(image, target))! }
}

export const withRemoval = (compose: Compose, image: number, target: number, reason: RemovalReason): Compose => {
  const jobId = removalOf(image, target)
  const removals = new Map(compose.removals).set(jobId, reason)
  if (compose.jobs.has(jobId)) return { ...compose, removals }
  const job: Job = { jobId, kind: "delete", image, target, after: undefined, state: "waiting", attempt: 0, countsFrom: 1, losses: 0, rebuilds: 0 }
  return { ...compose, removals, jobs: new Map(compose.jobs).set(jobId, job) }
}

/** Of those that are not on record yet, or when they go at a later time than is on record. */
export const condemnAll = (
  { composeId, image, resources, target, until }: typeof CondemnLeftovers.Type, compose: Compose
): Refused | ReadonlyArray<ComposeEvent> => {
  const upload = uploadOf(image, target)
  if (!compose.jobs.has(upload)) return "NotFound"
  if (compose.status === "open") return "NotEnded"
  if (resources.some((each) => isOfCopy(compose, upload, each))) return "NotCurrent"
  const isLater = until !== undefined && until > (compose.clearedAt.get(upload) ?? 0)
  const going = isLater ? resources : resources.filter((each) => !compose.leftovers.has(leftoverKey(upload, each)))
  return going.length === 0 ? [] : [{ _tag: "LeftoversCondemned", composeId, image, target, resources: going, ...(isLater && { until }) }]
}

export const removed = (compose: Compose, { image, jobId, target }: Job): ComposeEvent => {
  const uploaded = compose.outcomes.get(uploadOf(image, target!))
  const bytes = uploaded?._tag === "Uploaded" && uploaded.target.type === "file" ? { bytes: uploaded.artifact.size } : {}
  return { _tag: "CopyRemoved", composeId: compose.composeId!, image, target: target!, reason: compose.removals.get(jobId)!, ...bytes }
}
