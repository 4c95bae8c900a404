/** What the reaper has seen last, as the scheduler tells those who ask. */
import { Schema } from "effect"
import { ComposeId, JobId, Millis, TenantId } from "../ids.ts"
import { CloudResource } from "../image-copy.ts"
import type { Judged } from "../reaper.ts"

const optional = Schema.optionalKey

/** `place`: bucket, region and the like, for people. `problem`: why it could not be looked at. */
export const SeenPlace = Schema.Struct({
  tenantId: TenantId,
  type: Schema.String,
  credentials: optional(Schema.String),
  place: Schema.String,
  things: Schema.Int,
  problem: optional(Schema.String)
})
export type SeenPlace = typeof SeenPlace.Type

/** `removed`: it went in that sweep. `failed`: it was to go, and `problem` says why it did not. */
export const Leftover = Schema.Struct({
  tenantId: TenantId,
  composeId: ComposeId,
  jobId: JobId,
  type: Schema.String,
  resource: CloudResource,
  verdict: Schema.Literals(["noted", "waiting", "due", "removed", "failed", "unknown"]),
  madeAt: optional(Schema.Finite),
  notedAt: optional(Millis),
  problem: optional(Schema.String)
})
export type Leftover = typeof Leftover.Type

export const ReaperReport = Schema.Struct({
  /** A sweep runs, or was asked for and is about to; the rest is of the one before. */
  running: Schema.Boolean,
  at: optional(Millis),
  dryRun: optional(Schema.Boolean),
  places: Schema.Array(SeenPlace),
  /** The first thousand. */
  leftovers: Schema.Array(Leftover),
  more: Schema.Int
})
export type ReaperReport = typeof ReaperReport.Type

/** A sweep to be made: of one tenant's places or of all, and whether anything comes of it. */
export const SweepRequest = Schema.Struct({ tenantId: optional(TenantId), dryRun: Schema.Boolean })
export type SweepRequest = typeof SweepRequest.Type

export const mostLeftovers = 1000

export const leftoverOf = ({ marked: { madeAt, marks: { composeId, jobId, tenantId }, resource }, notedAt, place: { target: { type } }, verdict }: Judged): Leftover => ({
  tenantId, composeId, jobId, type, resource, verdict, ...(madeAt !== undefined && { madeAt }), ...(notedAt !== undefined && { notedAt: Millis.make(notedAt) })
})
