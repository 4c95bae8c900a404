/** A followed compose as server-sent events. */
import { Stream } from "effect"
import type { Job } from "../../domain/compose.ts"
import type { LogLines, ProgressReport } from "../../domain/ports/job-feed.ts"
import { lost } from "../../projections/compose-history.ts"
import type { Progressed, StatusChanged } from "./api/compose-stream.ts"
import { jobStatus, time } from "./compose-details.ts"
import type { Cursor } from "./follow-compose.ts"
import type { Decided, Followed } from "./follower.ts"

/** As it stands in `Last-Event-ID`: `<revision>.<sequence>`. */
export const cursorText = ({ revision, sequence }: Cursor): string => `${revision}.${sequence}`

export const cursorOf = (text: string): Cursor | undefined => {
  const [, revision, sequence] = /^(\d{1,10})\.(\d{1,15})$/.exec(text) ?? []
  return revision === undefined ? undefined : { revision: Number(revision), sequence: Number(sequence) }
}

const keepAlive = ": keep-alive\n\n"

/** `silence` in milliseconds: how often a comment keeps proxies from closing the connection. */
export const sse = <E, R>(
  followed: Stream.Stream<ReadonlyArray<Followed>, E, R>,
  silence: number
): Stream.Stream<Uint8Array, E, R> =>
  followed.pipe(
    Stream.map((items) => items.map(eventText).join("")),
    Stream.merge(Stream.tick(silence).pipe(Stream.map(() => keepAlive)), { haltStrategy: "left" }),
    Stream.encodeText
  )

const eventText = (followed: Followed): string => {
  switch (followed._tag) {
    case "Decided":
      return event("status", statusChanged(followed), cursorText(followed.cursor))
    case "Progressed":
      return event("progress", progressed(followed.item))
    case "Printed":
      return printed(followed.item, cursorText(followed.cursor))
    case "Ended": {
      const { status, failure } = followed.row
      return event("end", { status, ...(failure !== null && { failure }) })
    }
  }
}

const event = (name: string, data: unknown, id?: string): string =>
  `${id === undefined ? "" : `id: ${id}\n`}event: ${name}\ndata: ${JSON.stringify(data)}\n\n`

/** The id comes with the last line, so that who breaks off before it gets all of them again. */
const printed = ({ jobId, attempt, at, lines }: LogLines, id: string): string =>
  lines.map((text, index) =>
    event("line", { job: jobId, attempt, at: time(at), text }, index === lines.length - 1 ? id : undefined)
  ).join("")

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
