/** How the delivery to each target stands. */
import { Effect } from "effect"
import type { Compose } from "../../domain/compose-state.ts"
import type { ComposeId, JobId, TenantId } from "../../domain/ids.ts"
import type { ImageCopy } from "../../domain/image-copy.ts"
import { JobFeed, type ProgressReport } from "../../domain/ports/job-feed.ts"
import type { TargetType } from "../../domain/target.ts"
import { removalOf, uploadOf } from "../../domain/copy-removal.ts"
import type { CopyView, ProgressView, TargetView } from "./api/compose-views.ts"
import { artifactSummary, type ComposeState, delivered, jobStatus, statusOf, time } from "./compose-details.ts"
import { progressed } from "./sse.ts"

/** What running jobs have said last. */
export type RunningProgress = ReadonlyMap<JobId, ProgressReport>

/** Whoever looks at a compose does not wait long for what moves anyway. */
const patience = "300 millis"

/** Of uploads alone: they are what is long and counts bytes. */
export const runningUploads = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId, { compose }: ComposeState) {
  const running = [...compose.jobs.values()].filter(({ kind, state }) => kind === "upload" && state === "running")
  if (running.length === 0) return new Map<JobId, ProgressReport>()
  const said = yield* (yield* JobFeed).progress(tenantId, id).pipe(Effect.timeout(patience), Effect.orElseSucceed(() => []))
  return new Map(said.flatMap((item) => {
    const speaks = running.some(({ attempt, jobId, token }) => jobId === item.jobId && attempt === item.attempt && token === item.token)
    return speaks ? [[item.jobId, item] as const] : []
  }))
})

export const targetView = (state: ComposeState, image: number, place: number, type: TargetType, progress: RunningProgress): TargetView => {
  const { attempts, compose } = state
  const job = compose.jobs.get(uploadOf(image, place))!
  const delivery = delivered(compose).find((each) => each.image === image && each.target === place)
  const status = jobStatus(compose, job)
  const failure = status === "succeeded" || status === "running"
    ? undefined
    : attempts.findLast(({ jobId }) => jobId === job.jobId)?.failure ?? previousFailure(state, job.jobId)
  const said = progress.get(job.jobId)
  return {
    type, job: job.jobId, status: statusOf([status]), attempts: job.attempt,
    ...(failure && { failure }),
    ...(said && { progress: progressView(said) }),
    ...(delivery && { artifact: artifactSummary(delivery.artifact) }),
    ...(delivery?.copy && { copy: copyView(delivery.copy) }),
    ...removalView(compose, image, place)
  }
}

const removalView = (compose: Compose, image: number, place: number): Pick<TargetView, "removal"> => {
  const job = compose.jobs.get(removalOf(image, place))
  return job === undefined ? {} : { removal: { status: jobStatus(compose, job), reason: compose.removals.get(job.jobId)! } }
}

/** While the next attempt waits for its turn. */
const previousFailure = ({ attempts }: ComposeState, job: JobId) =>
  attempts.findLast(({ failure, jobId }) => jobId === job && failure !== null)?.failure ?? undefined

const progressView = (said: ProgressReport): ProgressView => {
  const { attempt: _, job: __, ...progress } = progressed(said)
  return progress
}

export const copyView = ({ bytesSent, deliveredAt, digest, format, id, place, url }: ImageCopy): CopyView => ({
  id, format, bytes_sent: bytesSent, delivered_at: time(deliveredAt),
  ...(place !== undefined && { place }), ...(url !== undefined && { url }), ...(digest !== undefined && { digest })
})
