/** What a scheduler is told of, for tests to pick from: jobs, workers, decisions of the log. */
import { type ComposeEvent, JobQueued, JobStarted } from "../../domain/compose-events.ts"
import type { Priority } from "../../domain/compose-request.ts"
import { AttemptToken, ComposeId, Millis, PoolId, PoolScope, TenantId, WorkerId } from "../../domain/ids.ts"
import type { JobKind } from "../../domain/job.ts"
import { composeRef, type Recorded } from "../../domain/recorded.ts"
import { Fleet, type Worker } from "../../domain/scheduling/fleet.ts"
import type { Need, OpenJob } from "../../domain/scheduling/open-jobs.ts"
import type { JobPage } from "../../domain/scheduling/resting.ts"
import type { Share } from "../../domain/scheduling/shares.ts"
import type { Heartbeat, Speaker } from "../../domain/work.ts"
import { decisionOf, digest, image, jobs } from "./composes.ts"

export const second = 1000
export const start = 1_790_000_000_000
export const pool = PoolId.make("default")
export const share: Share = { pool, weight: 1, runningJobs: Infinity }

export const speakerOf = (worker: string, scope = "default"): Speaker => ({ scope: PoolScope.make(scope), worker: WorkerId.make(worker) })
export const heartbeatOf = (slots: number | Partial<Record<JobKind, number>>, more: Partial<Heartbeat> = {}): Heartbeat => ({
  session: "s1", architectures: ["x86_64"],
  slots: typeof slots === "number" ? { resolve: slots, build: slots, upload: slots } : { resolve: 0, build: 0, upload: 0, ...slots },
  running: [], draining: false, version: "1", at: Millis.make(start), ...more
})
/** As a fleet of its own knows it. */
export const workerOf = (name: string, more: Partial<Heartbeat> = {}): Worker =>
  new Fleet(() => 30 * second, start).hear(speakerOf(name), heartbeatOf(1, more), start)

export const composeNo = (number: number) => ComposeId.make(`01890000-0000-7000-8000-${String(number).padStart(12, "0")}`)
export const numberOf = ({ composeId }: { readonly composeId: string }) => Number(composeId.slice(-12))

const need: Need = { kind: "build", architecture: "x86_64", distribution: "debian-13", imageType: "guest-image" }
export const jobOf = (tenant: string, number: number, more: Partial<Need> & { readonly priority?: Priority } = {}): OpenJob => {
  const { priority = "normal", ...own } = more
  return {
    tenantId: TenantId.make(tenant), composeId: composeNo(number), jobId: jobs[own.kind ?? "build"], need: { ...need, ...own }, priority,
    attempt: 1, queuedAt: start, revision: number, notBefore: 0, state: "ready", speaker: undefined, since: start, sequence: 0, token: undefined
  }
}
/** As a snapshot would have them. */
export const pageOf = (jobs: Iterable<OpenJob>): JobPage => {
  const saved = Array.from(jobs, (job) => ({ ...job, place: undefined }))
  return { size: saved.length, job: (at) => ({ ...saved[at]! }) }
}
export const heldBy = (worker: string) => ({ worker: WorkerId.make(worker), digest })

let sequence = 0
/** The events as one decision of one tenant's compose. */
export const recordedFor = (tenant: string, compose: number, ...events: [ComposeEvent, ...Array<ComposeEvent>]): Recorded<"compose"> => {
  sequence += 1
  const composeId = composeNo(compose)
  const [first, ...rest] = events.map((event) => ({ ...event, composeId }))
  return {
    _tag: "Recorded", ...composeRef(TenantId.make(tenant), composeId), ...decisionOf(`m${sequence}`, first!, ...rest),
    revision: sequence, position: { stream: "EVENTS", sequence }
  }
}
export const queuedAs = (kind: JobKind = "build", more: Partial<typeof JobQueued.Type> = {}) =>
  JobQueued.make({ composeId: composeNo(0), jobId: jobs[kind], attempt: 1, kind, image: 0, request: image, distribution: "debian-13", ...more })
export const tokenIn = (session: string, name: string | number = 0) => AttemptToken.make(`${session}-${name}`.padEnd(24, "x"))
export const startedBy = (worker: string, kind: JobKind = "build", session = "s1", attempt = 1) =>
  JobStarted.make({ composeId: composeNo(0), jobId: jobs[kind], attempt, worker: WorkerId.make(worker), token: tokenIn(session) })
