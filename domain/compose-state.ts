/** What is known of a compose and its jobs after some of its events, and what can be asked of that. */
import type { SealedComposeRequest } from "./compose-request.ts"
import type { RemovalReason } from "./copy-removal.ts"
import { type AttemptToken, type ComposeId, JobId, type Millis, type WorkerId } from "./ids.ts"
import type { JobOutcome, PlannedJob } from "./job.ts"
import type { Verifies } from "./verification.ts"

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

/** Nobody has asked for it. */
export const absent: Compose = {
  status: "absent", composeId: undefined, request: undefined, builder: "", verifies: undefined, jobs: new Map(), outcomes: new Map(),
  removals: new Map(), removed: new Set(), leftovers: new Set(), clearedAt: new Map()
}

export const isTerminal = (state: JobState): boolean =>
  state === "succeeded" || state === "failed" || state === "skipped" || state === "canceled"

/** Tests and uploads are about an image that another job has built, whatever else they wait for. */
export const buildOf = ({ jobs }: Compose, { image, kind }: Job): Job | undefined =>
  kind === "upload" || kind === "test" ? jobs.get(JobId.make(`${image}-build`)) : undefined

/** How the image was built that a job is about. */
export const builtFor = (compose: Compose, job: Job): JobOutcome | undefined => {
  const build = buildOf(compose, job)
  return build && compose.outcomes.get(build.jobId)
}

/** Whether its jobs may be worked on; those that remove copies come after the end. */
export const isLive = (compose: Compose, job: Job): boolean => compose.status === "open" || (job.kind === "delete" && compose.status !== "absent")

/** Whether what the job works on is there, is being made (again), or will never be. */
export const sourceOf = (compose: Compose, { after }: Job): "there" | "coming" | "never" => {
  const state = after === undefined ? "succeeded" : compose.jobs.get(after)?.state ?? "failed"
  if (state === "succeeded") return "there"
  return isTerminal(state) ? "never" : "coming"
}

export const withJob = (compose: Compose, jobId: JobId, change: (job: Job) => Job): Compose => {
  const job = compose.jobs.get(jobId)
  return job === undefined ? compose : { ...compose, jobs: new Map(compose.jobs).set(jobId, change(job)) }
}
