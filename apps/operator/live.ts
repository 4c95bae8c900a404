/** What is known about a compose that is being watched: a fold of its events. */
import type { Failure } from "../../domain/job.ts"
import type { ComposeStatus } from "../../projections/compose-history.ts"
import type { JobStatus } from "../gateway/api/compose-views.ts"
import type { ComposeEvent } from "./event-stream.ts"

export interface LiveJob {
  readonly id: string
  readonly kind: string
  readonly image: number
  readonly status: JobStatus
  readonly attempt: number
  readonly worker?: string | undefined
  readonly failure?: Failure | undefined
  /** Milliseconds since 1970. */
  readonly startedAt?: number
  readonly endedAt?: number
  readonly progress?: Progress
}

export interface Progress {
  readonly stage: string
  readonly percent: number
  readonly bytesDone?: number | undefined
  readonly bytesTotal?: number | undefined
  /** Bytes a second, smoothed. */
  readonly rate?: number | undefined
  readonly at: number
}

export interface Live {
  readonly status: ComposeStatus
  readonly jobs: ReadonlyMap<string, LiveJob>
  /** The latest lines of the job that printed last. */
  readonly tail: { readonly job: string; readonly lines: ReadonlyArray<string> }
  readonly failure?: Failure | undefined
  readonly startedAt?: number
  readonly ended: boolean
}

export const nothingYet: Live = { status: "pending", jobs: new Map(), tail: { job: "", lines: [] }, ended: false }

const tailLength = 30

export const evolve = (live: Live, event: ComposeEvent): Live => {
  switch (event.event) {
    case "status": {
      const { at, failure, jobs, status } = event.data
      const startedAt = live.startedAt ?? Date.parse(at)
      return { ...live, status, startedAt, failure: failure ?? live.failure, jobs: jobs.reduce((all, job) => changed(all, job, at), live.jobs) }
    }
    case "progress": {
      const job = live.jobs.get(event.data.job) ?? unseen(event.data.job, event.data.attempt)
      return { ...live, jobs: put(live.jobs, progressed(job, event.data)) }
    }
    case "line": {
      const { job, text } = event.data
      const before = live.tail.job === job ? live.tail.lines.slice(1 - tailLength) : []
      return { ...live, tail: { job, lines: [...before, text] } }
    }
    case "end":
      return { ...live, ...event.data, failure: event.data.failure ?? live.failure, ended: true }
  }
}

type EventOf<Name> = Extract<ComposeEvent, { readonly event: Name }>["data"]
type Jobs = Live["jobs"]

const put = (jobs: Jobs, job: LiveJob): Jobs => new Map([...jobs, [job.id, job]])

const over = new Set<string>(["succeeded", "failed", "skipped", "canceled"])
export const isOver = ({ status }: LiveJob) => over.has(status)

const changed = (jobs: Jobs, job: EventOf<"status">["jobs"][number], at: string): Jobs => {
  const before = jobs.get(job.id)
  const again = before !== undefined && before.attempt === job.attempt
  const millis = Date.parse(at)
  return put(jobs, {
    ...(again ? before : {}),
    ...job,
    ...(job.status === "running" && !(again && before.startedAt !== undefined) ? { startedAt: millis } : {}),
    ...(over.has(job.status) ? { endedAt: millis } : {})
  })
}

/** Progress may come before we hear that the job runs. */
const unseen = (id: string, attempt: number): LiveJob => {
  const [image, kind] = id.split("-")
  return { id, kind: kind ?? id, image: Number(image), status: "running", attempt }
}

const progressed = (job: LiveJob, data: EventOf<"progress">): LiveJob => {
  if (data.attempt < job.attempt) return job
  const at = Date.parse(data.at)
  const before = data.attempt === job.attempt ? job.progress : undefined
  const progress = {
    stage: data.stage,
    percent: data.percent,
    bytesDone: data.bytes_done,
    bytesTotal: data.bytes_total,
    rate: data.bytes_per_second ?? (before?.stage === data.stage ? rateOf(before, data.bytes_done, at) : undefined),
    at
  }
  return { ...job, attempt: data.attempt, startedAt: job.startedAt ?? at, progress }
}

const rateOf = (before: Progress, bytesDone: number | undefined, at: number) => {
  if (bytesDone === undefined || before.bytesDone === undefined || at <= before.at) return before.rate
  const now = Math.max(bytesDone - before.bytesDone, 0) / ((at - before.at) / 1000)
  return before.rate === undefined ? now : before.rate * 0.7 + now * 0.3
}
