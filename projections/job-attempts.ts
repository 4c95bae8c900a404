/** One row an attempt of a job: who ran it, when, and what came of it. */
import { Schema } from "effect"
import { Blob } from "../domain/artifact.ts"
import { Failure, JobOutcome } from "../domain/job.ts"
import { lost } from "./compose-history.ts"
import type { Projection } from "./projection.ts"

export const AttemptStatus = Schema.Literals(["queued", "running", "succeeded", "failed", "lost", "canceled"])
export type AttemptStatus = typeof AttemptStatus.Type

/** Times are milliseconds since 1970. */
export const AttemptRow = Schema.Struct({
  tenantId: Schema.String,
  composeId: Schema.String,
  jobId: Schema.String,
  attempt: Schema.Int,
  kind: Schema.String,
  image: Schema.Int,
  target: Schema.NullOr(Schema.Int),
  status: AttemptStatus,
  worker: Schema.NullOr(Schema.String),
  queuedAt: Schema.Int,
  notBefore: Schema.NullOr(Schema.Int),
  startedAt: Schema.NullOr(Schema.Int),
  endedAt: Schema.NullOr(Schema.Int),
  outcome: Schema.NullOr(JobOutcome),
  failure: Schema.NullOr(Failure),
  /** The archived log, once the attempt has ended. */
  log: Schema.NullOr(Blob)
})
export type AttemptRow = typeof AttemptRow.Type

export const jobAttempts: Projection<AttemptRow> = {
  name: "jobs",
  version: 1,
  row: AttemptRow,
  columns: {
    tenantId: { type: "text" },
    composeId: { type: "text" },
    jobId: { type: "text" },
    attempt: { type: "integer" },
    kind: { type: "text" },
    image: { type: "integer" },
    target: { type: "integer", nullable: true },
    status: { type: "text" },
    worker: { type: "text", nullable: true },
    queuedAt: { type: "millis" },
    notBefore: { type: "millis", nullable: true },
    startedAt: { type: "millis", nullable: true },
    endedAt: { type: "millis", nullable: true },
    outcome: { type: "json", nullable: true },
    failure: { type: "json", nullable: true },
    log: { type: "json", nullable: true }
  },
  key: ["composeId", "jobId", "attempt"],
  indexes: [["-queuedAt", "-composeId"]],
  about: ({ event }) =>
    "jobId" in event ? { composeId: event.composeId, jobId: event.jobId, attempt: event.attempt } : undefined,
  evolve: (row, { event, recorded: { tenantId, at } }) => {
    if (event._tag === "JobQueued") {
      return {
        tenantId, composeId: event.composeId, jobId: event.jobId, attempt: event.attempt, kind: event.kind, image: event.image,
        target: event.target ?? null, status: "queued", worker: null, queuedAt: row?.queuedAt ?? at, notBefore: event.notBefore ?? null,
        startedAt: null, endedAt: null, outcome: null, failure: null, log: null
      }
    }
    if (row === undefined) return undefined
    switch (event._tag) {
      case "JobStarted":
        return { ...row, status: "running", worker: event.worker, startedAt: at }
      case "JobSucceeded":
        return { ...row, status: "succeeded", endedAt: at, outcome: event.outcome, log: event.log ?? null }
      case "JobFailed":
        return { ...row, status: "failed", endedAt: at, failure: event.failure, log: event.log ?? null }
      case "JobLost":
        return { ...row, status: "lost", endedAt: at, failure: lost(event.reason) }
      case "JobReturned":
        return { ...row, status: "queued", worker: null, startedAt: null }
      case "JobCanceled":
        return { ...row, status: "canceled", endedAt: at }
      default:
        return row
    }
  }
}
