/** One row an attempt of a job: who ran it, when, and what came of it. */
import { Schema } from "effect"
import { Blob } from "../domain/artifact.ts"
import { Failure, JobOutcome } from "../domain/job.ts"
import type { Spent } from "../domain/spent.ts"
import { lost } from "./compose-history.ts"
import type { Projection } from "./projection.ts"
import type { Listing } from "./rows.ts"

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
  log: Schema.NullOr(Blob),
  /** From start to end. */
  ranMs: Schema.NullOr(Schema.Int),
  /** Of what was delivered, and what went over the wire for it. */
  storedBytes: Schema.Int,
  sentBytes: Schema.Int,
  /** As far as the worker has said. */
  cpuMs: Schema.NullOr(Schema.Int),
  cloudCalls: Schema.NullOr(Schema.Int)
})
export type AttemptRow = typeof AttemptRow.Type

export const jobAttempts: Projection<AttemptRow, "compose"> = {
  name: "jobs",
  version: 2,
  aggregates: ["compose"],
  acrossTenants: true,
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
    log: { type: "json", nullable: true },
    ranMs: { type: "bigint", nullable: true },
    storedBytes: { type: "bigint" },
    sentBytes: { type: "bigint" },
    cpuMs: { type: "bigint", nullable: true },
    cloudCalls: { type: "bigint", nullable: true }
  },
  key: ["composeId", "jobId", "attempt"],
  indexes: [...[[], ["status"], ["kind"], ["worker"]].map((fields) => [...fields, "-queuedAt", "-composeId", "-jobId", "-attempt"]), ["endedAt"]],
  about: ({ event }) =>
    "jobId" in event ? { composeId: event.composeId, jobId: event.jobId, attempt: event.attempt } : undefined,
  evolve: (row, { event, recorded: { tenantId, at } }) => {
    if (event._tag === "JobQueued") {
      return {
        tenantId, composeId: event.composeId, jobId: event.jobId, attempt: event.attempt, kind: event.kind, image: event.image,
        target: event.target ?? null, status: "queued", worker: null, queuedAt: row?.queuedAt ?? at, notBefore: event.notBefore ?? null,
        startedAt: null, endedAt: null, outcome: null, failure: null, log: null,
        ranMs: null, storedBytes: 0, sentBytes: 0, cpuMs: null, cloudCalls: null
      }
    }
    if (row === undefined) return undefined
    switch (event._tag) {
      case "JobStarted":
        return { ...row, status: "running", worker: event.worker, startedAt: at }
      case "JobSucceeded":
        return { ...row, status: "succeeded", ...ended(row, at), ...deliveredBy(event.outcome), ...spentIn(event), outcome: event.outcome, log: event.log ?? null }
      case "JobFailed":
        return { ...row, status: "failed", ...ended(row, at), ...spentIn(event), failure: event.failure, log: event.log ?? null }
      case "JobLost":
        return { ...row, status: "lost", ...ended(row, at), failure: lost(event.reason) }
      case "JobReturned":
        return { ...row, status: "queued", worker: null, startedAt: null }
      case "JobCanceled":
        return { ...row, status: "canceled", ...ended(row, at) }
      default:
        return row
    }
  }
}

export const attemptList: Listing<AttemptRow, "compose"> = { projection: jobAttempts, order: ["queuedAt", "composeId", "jobId", "attempt"] }

const ended = ({ startedAt }: AttemptRow, at: number) => ({ endedAt: at, ranMs: startedAt === null ? null : Math.max(0, at - startedAt) })

const deliveredBy = (outcome: JobOutcome) =>
  outcome._tag === "Uploaded" ? { storedBytes: outcome.artifact.size, sentBytes: outcome.copy?.bytesSent ?? 0 } : {}

/** A worker may say more than its outcome does; an old one says nothing. */
const spentIn = ({ spent }: { readonly spent?: Spent }) => ({
  cpuMs: spent?.cpuMs ?? null,
  cloudCalls: spent?.cloudCalls ?? null,
  ...(spent?.bytesSent !== undefined && { sentBytes: spent.bytesSent })
})
