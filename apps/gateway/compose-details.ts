/** One compose as its own events tell it, without waiting for a read model. */
import type { ComposeRequest, SealedComposeRequest } from "../../domain/compose-request.ts"
import type { Artifact } from "../../domain/artifact.ts"
import type { Compose, Job } from "../../domain/compose-state.ts"
import { ComposeDecider } from "../../domain/compose.ts"
import { fold } from "../../domain/decider.ts"
import { ComposeId } from "../../domain/ids.ts"
import type { ImageCopy } from "../../domain/image-copy.ts"
import { targetsOf } from "../../domain/job.ts"
import type { Target } from "../../domain/target.ts"
import type { JobOutlook } from "../../domain/scheduling/job-outlook.ts"
import type { Recorded } from "../../domain/recorded.ts"
import { composeHistory, type ComposeRow, type ComposeStatus } from "../../projections/compose-history.ts"
import type { ListedCompose } from "../../projections/compose-queries.ts"
import { type AttemptRow, jobAttempts } from "../../projections/job-attempts.ts"
import { project } from "../../projections/projection.ts"
import type { AttemptView, ComposeDetails, ComposeSummary, ImageView, JobStatus, JobView } from "./api/compose-views.ts"
import { testView, type Verdict, verdictsOf } from "./boot-tests.ts"
import { evidenceLinks } from "./evidence-links.ts"
import { type RunningProgress, targetView } from "./target-views.ts"
import { Speakers } from "./speakers.ts"
import { verificationView } from "./verification-view.ts"
import { waitingFor } from "./waiting.ts"

/** A compose's events in the shapes that answers are made of. */
export interface ComposeState {
  readonly row: ComposeRow
  readonly compose: Compose
  readonly attempts: ReadonlyArray<AttemptRow>
  readonly speakers: Speakers
  /** Of boot tests, by image. */
  readonly verdicts: ReadonlyMap<number, Verdict>
}

export const stateOf = (history: ReadonlyArray<Recorded<"compose">>): ComposeState | undefined => {
  const [row] = project(composeHistory, history).values()
  const events = history.flatMap((recorded) => recorded.events)
  return row && {
    row,
    compose: fold(ComposeDecider, events),
    attempts: [...project(jobAttempts, history).values()],
    speakers: new Speakers(events),
    verdicts: verdictsOf(events)
  }
}

export const summaryOf = (row: ListedCompose): ComposeSummary => ({
  id: ComposeId.make(row.composeId),
  status: row.status,
  distribution: row.distribution,
  ...(row.name !== null && { name: row.name }),
  labels: row.labels,
  images: row.images,
  ...(row.blueprint !== null && { blueprint: row.blueprint }),
  requested_by: row.requestedBy,
  requested_at: time(row.requestedAt),
  ...(row.startedAt !== null && { started_at: time(row.startedAt) }),
  ...(row.endedAt !== null && { ended_at: time(row.endedAt) }),
  ...(row.failure !== null && { failure: row.failure })
})

/** `outlooks` are what the scheduler says of queued jobs, if it does; `progress` what running ones say of themselves. */
export const detailsOf = (
  state: ComposeState, now: number, outlooks: ReadonlyArray<JobOutlook> = [], progress: RunningProgress = new Map()
): ComposeDetails => {
  const { row, compose, attempts, verdicts } = state
  return {
    ...summaryOf(row),
    request: withoutSecrets(compose.request!),
    images: compose.request!.images.map((_, index) => imageView(state, index, verdicts.get(index), progress)),
    jobs: [...compose.jobs.values()].map((job) =>
      jobView(compose, job, attempts.filter(({ jobId }) => jobId === job.jobId), now,
        outlooks.find(({ attempt, jobId }) => jobId === job.jobId && attempt === job.attempt))),
    ...verificationView(compose),
    revision: row.revision
  }
}

export const time = (millis: number): string => new Date(millis).toISOString()

/** A canceled compose has no jobs that still wait. */
export const jobStatus = (compose: Compose, job: Job): JobStatus =>
  compose.status === "canceled" && job.state === "waiting" ? "canceled" : job.state

export interface Delivered {
  readonly image: number
  readonly target: number
  readonly artifact: Artifact
  readonly place: Target
  /** Unless it is Kiln's own store. */
  readonly copy?: ImageCopy
}

/** What each upload has delivered, as far as it is still there. */
export const delivered = (compose: Compose): ReadonlyArray<Delivered> =>
  [...compose.jobs.values()].flatMap(({ jobId, image, target }) => {
    const outcome = compose.outcomes.get(jobId)
    if (target === undefined || outcome?._tag !== "Uploaded" || compose.removed.has(jobId)) return []
    return [{ image, target, artifact: outcome.artifact, place: outcome.target, ...(outcome.copy && { copy: outcome.copy }) }]
  })

export const artifactSummary = ({ digest, size, format, filename, mediaType }: Artifact) =>
  ({ digest, size, format, filename, media_type: mediaType })

const imageView = (state: ComposeState, index: number, verdict: Verdict | undefined, progress: RunningProgress): ImageView => {
  const { compose } = state
  const { architecture, type, ...image } = compose.request!.images[index]!
  const jobs = [...compose.jobs.values()].filter((job) => job.image === index && job.kind !== "delete")
  return {
    architecture,
    type,
    status: statusOf(jobs.map((job) => jobStatus(compose, job))),
    targets: targetsOf({ architecture, type, ...image }).map((target, place) => targetView(state, index, place, target.type, progress)),
    ...evidenceLinks(compose, index),
    ...testView(compose, index, jobs.filter(({ kind }) => kind === "test").map((job) => jobStatus(compose, job))[0], verdict)
  }
}

export const statusOf = (jobs: ReadonlyArray<JobStatus>): ComposeStatus => {
  if (jobs.some((status) => status === "failed" || status === "skipped")) return "failed"
  if (jobs.some((status) => status === "canceled")) return "canceled"
  if (jobs.every((status) => status === "succeeded")) return "succeeded"
  return jobs.some((status) => status === "running" || status === "succeeded") ? "running" : "pending"
}

const jobView = (compose: Compose, job: Job, attempts: ReadonlyArray<AttemptRow>, now: number, outlook: JobOutlook | undefined): JobView => {
  const status = jobStatus(compose, job)
  const waitingFor = waiting(job, status, attempts.at(-1)?.notBefore ?? null, now, outlook)
  return {
    id: job.jobId,
    kind: job.kind,
    image: job.image,
    ...(job.target !== undefined && { target: job.target }),
    status,
    ...(waitingFor && { waiting_for: waitingFor }),
    attempts: attempts.map(attemptView)
  }
}

const waiting = (job: Job, status: JobStatus, notBefore: number | null, now: number, outlook: JobOutlook | undefined): JobView["waiting_for"] => {
  if (status === "waiting" && job.after !== undefined) return { reason: "job", job: job.after }
  if (status !== "queued") return undefined
  if (outlook !== undefined) return waitingFor(outlook)
  return notBefore !== null && notBefore > now ? { reason: "retry", until: time(notBefore) } : { reason: "worker" }
}

const attemptView = (row: AttemptRow): AttemptView => ({
  attempt: row.attempt,
  status: row.status,
  queued_at: time(row.queuedAt),
  ...(row.notBefore !== null && { not_before: time(row.notBefore) }),
  ...(row.startedAt !== null && { started_at: time(row.startedAt) }),
  ...(row.endedAt !== null && { ended_at: time(row.endedAt) }),
  ...(row.worker !== null && { worker: row.worker }),
  ...(row.failure !== null && { failure: row.failure }),
  log: row.log !== null
})

/** The request as it was made, but for what is secret. */
export const withoutSecrets = (request: SealedComposeRequest): ComposeRequest => {
  const { customizations, ...plain } = request
  if (customizations === undefined) return plain
  const { users, ...others } = customizations
  const masked = users?.map(({ password, ...user }) => password === undefined ? user : { ...user, password: "***" })
  return { ...plain, customizations: { ...others, ...(masked && { users: masked }) } }
}
