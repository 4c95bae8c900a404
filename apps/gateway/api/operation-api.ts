/** What operators of the installation look after: workers, pools, and what was put aside. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Architecture, ComposeId, Digest, JobId, PoolId, TenantId, WorkerId } from "../../../domain/ids.ts"
import { forEachKind, JobKind, Slots } from "../../../domain/job.ts"
import { ParkedKind } from "../../../domain/ports/parked.ts"
import { JobInHand, WorkerState } from "../../../domain/scheduling/worker-outlook.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, Forbidden, NotFound, Unavailable } from "./problems.ts"

const optional = Schema.optionalKey
const Time = Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] })

/** A list of abilities that is absent means all. What a worker has never said itself is absent, too. */
export const WorkerView = Schema.Struct({
  worker: WorkerId,
  pools: Schema.Array(PoolId),
  state: WorkerState,
  architectures: optional(Schema.Array(Architecture)),
  distributions: optional(Schema.Array(Schema.String)),
  image_types: optional(Schema.Array(Schema.String)),
  labels: optional(Schema.Record(Schema.String, Schema.String)),
  slots: optional(Slots),
  busy: Slots,
  jobs: Schema.Array(Schema.Struct({
    tenant: TenantId, compose: ComposeId, job: JobId, kind: JobKind, attempt: Schema.Int, state: JobInHand.fields.state, since: Time
  })),
  held_images: Schema.Int,
  /** Only where workers were asked for by name. */
  held_digests: optional(Schema.Array(Digest)),
  version: optional(Schema.String),
  /** When it was heard first since its start, and when last. */
  session_since: optional(Time),
  heard_at: optional(Time)
}).annotate({ identifier: "Worker" })
export type WorkerView = typeof WorkerView.Type

/** The worker was told; its next heartbeat says what it holds then. */
export const DiscardView = Schema.Struct({ worker: WorkerId, digest: Digest, status: Schema.Literal("asked") })
  .annotate({ identifier: "Discard" })
export type DiscardView = typeof DiscardView.Type

export const KindView = Schema.Struct({
  waiting: Schema.Int,
  oldest_wait_seconds: Schema.Finite,
  busy_slots: Schema.Int,
  free_slots: Schema.Int,
  wanted_slots: Schema.Int,
  mean_duration_seconds: optional(Schema.Finite)
})

export const PoolView = Schema.Struct({
  pool: PoolId,
  at: Time,
  /** That are heard. */
  workers: Schema.Int,
  kinds: forEachKind(KindView)
}).annotate({ identifier: "Pool" })
export type PoolView = typeof PoolView.Type

/** `where` it lies or lay; `text` is the beginning of it, if it can be shown. */
export const ParkedView = Schema.Struct({
  id: Schema.String,
  what: ParkedKind,
  by: Schema.String,
  where: Schema.String,
  reason: Schema.String,
  tenant: optional(TenantId),
  compose: optional(Schema.String),
  text: optional(Schema.String),
  at: Time
}).annotate({ identifier: "ParkedItem" })
export type ParkedView = typeof ParkedView.Type

export const DroppedView = Schema.Struct({ dropped: Schema.Int }).annotate({ identifier: "Dropped" })

const ParkedId = Schema.String.check(Schema.isPattern(/^[0-9a-f]{1,1000}$/, { expected: "the id of something that was put aside" }))

export class OperationApi extends HttpApiGroup.make("operation").add(
  HttpApiEndpoint.get("workers", "/workers", {
    query: { name: optional(WorkerId), pool: optional(PoolId) },
    success: Schema.Array(WorkerView), error: [BadRequest, Forbidden, Unavailable]
  }).annotate(OpenApi.Summary, "Workers, and what they do"),
  HttpApiEndpoint.delete("discardImage", "/workers/:name/images/:digest", {
    params: { name: WorkerId, digest: Digest }, success: DiscardView.pipe(HttpApiSchema.status(202)), error: [BadRequest, Forbidden, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "Have a worker remove an image that it holds"),
  HttpApiEndpoint.get("pools", "/pools", { success: Schema.Array(PoolView), error: [Forbidden, Unavailable] })
    .annotate(OpenApi.Summary, "Pools, and how full they are"),
  HttpApiEndpoint.get("parked", "/parked", {
    query: { what: optional(ParkedKind), tenant: optional(TenantId) }, success: Schema.Array(ParkedView), error: [BadRequest, Forbidden, Unavailable]
  }).annotate(OpenApi.Summary, "What was put aside or given up, newest first"),
  HttpApiEndpoint.delete("dropAllParked", "/parked", {
    query: { what: optional(ParkedKind), tenant: optional(TenantId), all: optional(Schema.Literal("true")) },
    success: DroppedView, error: [BadRequest, Forbidden, Unavailable]
  }).annotate(OpenApi.Summary, "Forget all of a kind, of a tenant, or all there is"),
  HttpApiEndpoint.delete("dropParked", "/parked/:id", {
    params: { id: ParkedId }, success: HttpApiSchema.NoContent, error: [BadRequest, Forbidden, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "Forget something that was put aside or given up")
).middleware(Authorization) {}
