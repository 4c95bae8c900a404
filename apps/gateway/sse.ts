/** What is told of a compose, as server-sent events. An event's id is the last of its lines, and left to who writes it. */
import type { Job } from "../../domain/compose-state.ts"
import type { Failure } from "../../domain/job.ts"
import type { LogLines, ProgressReport } from "../../domain/ports/job-feed.ts"
import { type ComposeStatus, lost } from "../../projections/compose-history.ts"
import type { Ended, Progressed, StatusChanged } from "./api/compose-stream.ts"
import { jobStatus, time } from "./compose-details.ts"
import type { Cursor, Decided } from "./follower.ts"
import type { Leaving, Manner } from "./streams/reader.ts"

/** As it stands in `Last-Event-ID`: `<revision>.<sequence>`. */
export const cursorText = ({ revision, sequence }: Cursor): string => `${revision}.${sequence}`

export const cursorOf = (text: string): Cursor | undefined => {
  const [, revision, sequence] = /^(\d{1,10})\.(\d{1,15})$/.exec(text) ?? []
  return revision === undefined ? undefined : { revision: Number(revision), sequence: Number(sequence) }
}

/** All lines of an event but the id and the empty one. */
export const event = (name: string, data: unknown): string => `event: ${name}\ndata: ${JSON.stringify(data)}\n`

export const statusText = (decided: Decided): string => event("status", statusChanged(decided))

export const progressText = (item: ProgressReport): string => `${event("progress", progressed(item))}\n`

export const ended = (status: ComposeStatus, failure: Failure | null): string => {
  const data: Ended = { status, ...(failure !== null && { failure }) }
  return `${event("end", data)}\n`
}

/** The id comes with the last line, so that who breaks off before it gets all of them again. */
export const printed = ({ jobId, attempt, at, lines }: LogLines): string =>
  lines.map((text) => event("line", { job: jobId, attempt, at: time(at), text })).join("\n")

export const progressed = ({ jobId, attempt, at, progress: { bytesDone, bytesPerSecond, bytesTotal, percent, stage } }: ProgressReport): Progressed => ({
  job: jobId,
  attempt,
  at: time(at),
  stage,
  percent,
  ...(bytesDone !== undefined && { bytes_done: bytesDone }),
  ...(bytesTotal !== undefined && { bytes_total: bytesTotal }),
  ...(bytesPerSecond !== undefined && { bytes_per_second: bytesPerSecond })
})

const statusChanged = ({ recorded, row, compose }: Decided): StatusChanged => {
  const changed = new Set(recorded.events.flatMap((event) => "jobId" in event ? [event.jobId] : []))
  const failures = new Map(recorded.events.flatMap((event) => {
    if (event._tag === "JobFailed") return [[event.jobId, event.failure] as const]
    return event._tag === "JobLost" ? [[event.jobId, lost(event.reason)] as const] : []
  }))
  const jobOf = (job: Job) => ({
    id: job.jobId,
    kind: job.kind,
    image: job.image,
    ...(job.target !== undefined && { target: job.target }),
    status: jobStatus(compose, job),
    attempt: job.attempt,
    ...(job.worker !== undefined && job.state !== "queued" && { worker: job.worker }),
    ...(failures.has(job.jobId) && { failure: failures.get(job.jobId)! })
  })
  return {
    status: row.status,
    at: time(recorded.at),
    revision: recorded.revision,
    jobs: [...compose.jobs.values()].filter(({ jobId }) => changed.has(jobId)).map(jobOf),
    ...(row.failure !== null && { failure: row.failure })
  }
}

const words: Partial<Record<Leaving, string>> = {
  slow: "what comes is not read fast enough",
  "token-expired": "the token has expired, come back with another",
  stopping: "this gateway stops",
  unavailable: "what is kept cannot be read now"
}

/** So soon clients should come back, not all in one moment. */
const comeBack = (): number => 500 + Math.floor(Math.random() * 2500)

/** Clients remember an id also with no event beside it. */
const idLine = (position: string | undefined) => position === undefined ? "" : `id: ${position}\n`

export const eventStream: Manner = {
  silence: (position) => `: keep-alive\n${idLine(position)}\n`,
  farewell: (why, position) => {
    const reason = words[why]
    if (reason === undefined) return undefined
    const retry = comeBack()
    return `retry: ${retry}\n${event("reconnect", { reason: why, message: `${reason}; go on with Last-Event-ID`, retry_ms: retry })}${idLine(position)}\n`
  }
}

/** Nothing may be added to plain text. */
export const plainText: Manner = { silence: () => undefined, farewell: () => undefined }
