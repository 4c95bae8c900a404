/** One compose and what happens to it, for tests to pick from. */
import { RequestCompose, StartJob } from "../../domain/compose-commands.ts"
import {
  type ComposeEvent, ComposeFinished, ComposeRequested, JobFailed, JobLost, JobQueued, JobStarted, JobSucceeded
} from "../../domain/compose-events.ts"
import type { TestReport } from "../../domain/boot-test.ts"
import type { ImageRequest, SealedComposeRequest } from "../../domain/compose-request.ts"
import { AttemptToken, ComposeId, Digest, JobId, Millis, TenantId, WorkerId } from "../../domain/ids.ts"
import { Built, type Failure, type JobKind, Removed, Resolved, Tested, Uploaded } from "../../domain/job.ts"
import { composeRef, type Decision, type Recorded } from "../../domain/recorded.ts"

export const tenantId = TenantId.make("acme")
export const composeId = ComposeId.make("01890000-0000-7000-8000-000000000001")
export const worker = WorkerId.make("w1")
export const image: ImageRequest = { architecture: "x86_64", type: "guest-image" }
export const request: SealedComposeRequest = { distribution: "debian-13", name: "web", images: [image] }
export const requestCompose = RequestCompose.make({ composeId, request, builder: "debian", resolves: true })
export const requested = ComposeRequested.make({ composeId, request, builder: "debian", resolves: true })

export const jobs = { resolve: JobId.make("0-resolve"), build: JobId.make("0-build"), test: JobId.make("0-test"), upload: JobId.make("0-upload-0"), delete: JobId.make("0-delete-0") }
export const tokenOf = (jobId: JobId, attempt: number) => AttemptToken.make(`token-of-${jobId}-${attempt}`.padEnd(24, "-"))

const kindOf = (jobId: JobId) => jobId.split("-")[1] as JobKind

export const queued = (jobId: JobId, attempt = 1, notBefore?: number) =>
  JobQueued.make({
    composeId, jobId, attempt, kind: kindOf(jobId), image: 0, ...((kindOf(jobId) === "upload" || kindOf(jobId) === "delete") && { target: 0 }),
    request: image, distribution: "debian-13", ...(notBefore !== undefined && { notBefore: Millis.make(notBefore) })
  })
export const claim = (jobId: JobId, attempt = 1) => ({ composeId, jobId, attempt, token: tokenOf(jobId, attempt) })
export const startJob = (jobId: JobId, attempt = 1) => StartJob.make({ ...claim(jobId, attempt), worker })
export const started = (jobId: JobId, attempt = 1) => JobStarted.make({ ...claim(jobId, attempt), worker })

export const digest = Digest.make(`sha256:${"a".repeat(64)}`)
export const artifact = { digest, size: 7, format: "qcow2", filename: "image.qcow2", mediaType: "application/octet-stream" }
export const boot: TestReport["boots"][number] = {
  firmware: "uefi", passed: true, readyMs: 21_000, tookMs: 24_000, checks: [{ name: "ready", passed: true }], console: { digest, size: 5 }, screenshot: { digest, size: 6 }
}
export const report: TestReport = { accelerator: "tcg", boots: [boot] }
export const outcomes = {
  resolve: Resolved.make({ lock: { digest, size: 3 }, packages: 153, downloadBytes: 83_000_000 }),
  build: Built.make({ manifest: digest, artifact, heldBy: worker, reused: false }),
  test: Tested.make({ verdict: "passed", report }),
  upload: Uploaded.make({ target: { type: "file" }, artifact }),
  delete: Removed.make({ target: { type: "file" } })
}
export const succeeded = (jobId: JobId, attempt = 1) =>
  JobSucceeded.make({ composeId, jobId, attempt, outcome: outcomes[kindOf(jobId)] })
export const failure: Failure = { class: "platform", message: "no space left" }
export const failed = (jobId: JobId, attempt: number, final: boolean, why = failure) =>
  JobFailed.make({ composeId, jobId, attempt, failure: why, final })
export const lost = (jobId: JobId, attempt: number, final: boolean) =>
  JobLost.make({ composeId, jobId, attempt, reason: "silence", final })
export const finished = (outcome: "succeeded" | "failed") => ComposeFinished.make({ composeId, outcome })

/** From request to success, nothing going wrong. */
export const wholeLife: ReadonlyArray<ComposeEvent> = [
  requested, queued(jobs.resolve), started(jobs.resolve), succeeded(jobs.resolve),
  queued(jobs.build), started(jobs.build), succeeded(jobs.build),
  queued(jobs.upload), started(jobs.upload), succeeded(jobs.upload), finished("succeeded")
]

export const decisionOf = (messageId: string, ...events: [ComposeEvent, ...Array<ComposeEvent>]): Decision<"compose"> =>
  ({ messageId, at: Millis.make(1_790_000_000_000), actor: { kind: "system", id: "test" }, events })

/** The events as the log would answer them, a decision each, a second apart. */
export const recordedOf = (events: ReadonlyArray<ComposeEvent>): ReadonlyArray<Recorded<"compose">> =>
  events.map((event, index) => ({
    _tag: "Recorded", ...composeRef(tenantId, composeId), ...decisionOf(`m${index}`, event),
    at: Millis.make(1_790_000_000_000 + index * 1000), revision: index + 1, position: { stream: "EVENTS", sequence: index + 1 }
  }))
