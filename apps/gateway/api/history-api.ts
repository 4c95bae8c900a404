/** What the log is good for besides composes: attempts, images and their copies, usage, who did what, and tenants. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { DistributionId, ImageType } from "../../../domain/compose-request.ts"
import { Architecture, ComposeId, Digest, JobId, TenantId } from "../../../domain/ids.ts"
import { Failure, JobKind } from "../../../domain/job.ts"
import { PolicyDocument } from "../../../domain/policy-document.ts"
import { Actor } from "../../../domain/recorded.ts"
import { TargetType } from "../../../domain/target.ts"
import { line } from "../../../domain/text.ts"
import { AttemptStatus } from "../../../projections/job-attempts.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, Forbidden, Unavailable } from "./problems.ts"
import { PageQuery, WithinQuery } from "./queries.ts"
import { QuotaRule } from "./tenants-api.ts"

const optional = Schema.optionalKey
const Time = Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] })
const Seconds = Schema.Finite

const pageOf = <Item extends Schema.Top>(item: Item, identifier: string) =>
  Schema.Struct({
    items: Schema.Array(item),
    /** The `cursor` of the next page; none on the last. */
    next: optional(Schema.String)
  }).annotate({ identifier })

/** One attempt of one job. `ran_seconds`: from its start to its end. */
export const HistoryItem = Schema.Struct({
  compose: ComposeId,
  job: JobId,
  attempt: Schema.Int,
  kind: JobKind,
  image: Schema.Int,
  target: optional(Schema.Int),
  status: AttemptStatus,
  worker: optional(Schema.String),
  queued_at: Time,
  started_at: optional(Time),
  ended_at: optional(Time),
  ran_seconds: optional(Seconds),
  stored_bytes: optional(Schema.Int),
  sent_bytes: optional(Schema.Int),
  failure: optional(Failure)
}).annotate({ identifier: "HistoryItem" })
export type HistoryItem = typeof HistoryItem.Type

/** A copy that was delivered. Without `id` it lies in Kiln's own store. */
export const CopyView = Schema.Struct({
  target: Schema.Int,
  type: TargetType,
  id: optional(Schema.String),
  place: optional(Schema.String),
  url: optional(Schema.String),
  digest: optional(Schema.String),
  format: Schema.String,
  delivered_at: Time,
  removed_at: optional(Time)
})

/** An image that was built. `held_by`: the worker that built it, which may have let go of it since. */
export const ImageItem = Schema.Struct({
  compose: ComposeId,
  image: Schema.Int,
  distribution: DistributionId,
  architecture: Architecture,
  type: ImageType,
  built_at: Time,
  digest: Digest,
  size: Schema.Int,
  format: Schema.String,
  filename: Schema.String,
  held_by: Schema.String,
  copies: Schema.Array(CopyView)
}).annotate({ identifier: "ImageItem" })
export type ImageItem = typeof ImageItem.Type

/** `day` in UTC. CPU seconds and cloud calls count what workers have reported. `cost` only where prices are set, by today's. */
export const UsageItem = Schema.Struct({
  day: optional(Schema.String),
  compose: optional(ComposeId),
  tenant: optional(TenantId),
  attempts: Schema.Int,
  build_minutes: Schema.Finite,
  test_minutes: Schema.Finite,
  other_minutes: Schema.Finite,
  cpu_seconds: Seconds,
  stored_bytes: Schema.Int,
  sent_bytes: Schema.Int,
  cloud_calls: Schema.Int,
  cost: optional(Schema.Finite)
}).annotate({ identifier: "UsageItem" })
export type UsageItem = typeof UsageItem.Type

/** Without `tenant` it is of all. `since` and `until`: what it is about, where nothing was said as well. */
export const UsagePage = Schema.Struct({
  tenant: optional(TenantId),
  by: Schema.Literals(["total", "day", "compose", "tenant"]),
  since: optional(Time),
  until: optional(Time),
  currency: optional(Schema.String),
  items: Schema.Array(UsageItem),
  next: optional(Schema.String)
}).annotate({ identifier: "Usage" })
export type UsagePage = typeof UsagePage.Type

/** `action` is the event's name; `trace` the request that it came from; `detail` of an operation: on what, or how it ended. */
export const AuditItem = Schema.Struct({
  at: Time,
  tenant: TenantId,
  actor: Actor,
  action: Schema.String,
  aggregate: Schema.String,
  id: Schema.String,
  revision: Schema.Int,
  detail: optional(Schema.String),
  trace: optional(Schema.String)
}).annotate({ identifier: "AuditItem" })
export type AuditItem = typeof AuditItem.Type

/** A tenant that has an account, which each has whose use was ever limited. */
export const TenantItem = Schema.Struct({
  tenant: TenantId,
  composes_reserved: Schema.Int,
  composes_released: Schema.Int,
  stored_bytes: Schema.Int,
  running_jobs: Schema.Int,
  /** What is limited for it, and how much of that is used now. */
  rules: Schema.Array(QuotaRule),
  last_reserved_at: optional(Time),
  policy: optional(PolicyDocument),
  policy_set_at: optional(Time),
  policy_set_by: optional(Schema.String)
}).annotate({ identifier: "TenantItem" })
export type TenantItem = typeof TenantItem.Encoded

export const HistoryPage = pageOf(HistoryItem, "HistoryPage")
export const ImagePage = pageOf(ImageItem, "ImagePage")
export const AuditPage = pageOf(AuditItem, "AuditPage")
export const TenantPage = pageOf(TenantItem, "TenantPage")

export const HistoryQuery = Schema.Struct({
  ...PageQuery, ...WithinQuery, status: optional(AttemptStatus), kind: optional(JobKind), compose: optional(ComposeId), worker: optional(line(60))
})
export const ImageQuery = Schema.Struct({
  ...PageQuery, ...WithinQuery, distribution: optional(DistributionId), type: optional(ImageType), architecture: optional(Architecture),
  target: optional(TargetType), digest: optional(Digest), compose: optional(ComposeId)
})
export const UsageQuery = Schema.Struct({
  ...PageQuery, ...WithinQuery, by: optional(UsagePage.fields.by), tenant: optional(TenantId)
})
export const AuditQuery = Schema.Struct({
  ...PageQuery, ...WithinQuery, actor: optional(line(255)), action: optional(line(60)), id: optional(line(100)), tenant: optional(TenantId)
})

const linked = <Page extends Schema.Top>(page: Page) => HttpApiSchema.WithHeaders(page, { link: optional(Schema.String) })

export class HistoryApi extends HttpApiGroup.make("history").add(
  HttpApiEndpoint.get("jobs", "/jobs", { query: HistoryQuery, success: linked(HistoryPage), error: [BadRequest, Unavailable] })
    .annotate(OpenApi.Summary, "Attempts of jobs, newest first"),
  HttpApiEndpoint.get("images", "/images", { query: ImageQuery, success: linked(ImagePage), error: [BadRequest, Unavailable] })
    .annotate(OpenApi.Summary, "Images that were built, and where their copies are"),
  HttpApiEndpoint.get("usage", "/usage", { query: UsageQuery, success: linked(UsagePage), error: [BadRequest, Forbidden, Unavailable] })
    .annotate(OpenApi.Summary, "What was used, in all, by day, by compose or by tenant"),
  HttpApiEndpoint.get("audit", "/audit", { query: AuditQuery, success: linked(AuditPage), error: [BadRequest, Forbidden, Unavailable] })
    .annotate(OpenApi.Summary, "Who did what, newest first"),
  HttpApiEndpoint.get("tenants", "/tenants", { query: Schema.Struct(PageQuery), success: linked(TenantPage), error: [BadRequest, Forbidden, Unavailable] })
    .annotate(OpenApi.Summary, "Tenants and what they have used of their quotas")
).middleware(Authorization) {}
