/** The contract of everything about composes, shared with clients and documentation. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ComposeRequest, DistributionId } from "../../../domain/compose-request.ts"
import { ComposeId, JobId } from "../../../domain/ids.ts"
import { ComposeStatus } from "../../../projections/compose-history.ts"
import { Authorization } from "./authorization.ts"
import { ComposeStreamEvent } from "./compose-stream.ts"
import { ArtifactView, ComposeAccepted, ComposeDetails, ComposePage } from "./compose-views.ts"
import { BadRequest, BodyTooLarge, ComposeEnded, KeyReused, NotFound, QuotaExceeded, QuotaSpent, Unavailable, WrongMediaType } from "./problems.ts"

const optional = Schema.optionalKey

/** RFC 3339 with a zone, such as `2026-01-31T12:00:00Z` or `2026-01-31T12:00:00.5+02:00`. */
const Moment = Schema.String.check(Schema.makeFilter(
  (text) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.test(text) && Date.parse(text) >= 0,
  { expected: "a time as RFC 3339 with a zone, such as 2026-01-31T12:00:00Z" }
))

/** Any printable ASCII without spaces around it. */
export const IdempotencyKey = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$/, {
  expected: "1 to 255 printable ASCII characters"
}))

export const ListQuery = Schema.Struct({
  limit: optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))),
  /** `next` of the page before. */
  cursor: optional(Schema.String.check(Schema.isMaxLength(200))),
  status: optional(ComposeStatus),
  distribution: optional(DistributionId),
  /** Requested at or after this time. */
  since: optional(Moment),
  /** Requested before this time. */
  until: optional(Moment),
  /** Every word must occur in id, name, labels, distribution or failure. */
  // oxlint-disable-next-line no-control-regex
  search: optional(Schema.String.check(Schema.isPattern(/^[^\u0000-\u001f\u007f\ud800-\udfff]{1,200}$/u, {
    expected: "1 to 200 printable characters"
  })))
})
export type ListQuery = typeof ListQuery.Type

const one = { params: { id: ComposeId } }

export class ComposesApi extends HttpApiGroup.make("composes").add(
  HttpApiEndpoint.post("request", "/", {
    headers: { "idempotency-key": optional(IdempotencyKey) },
    payload: ComposeRequest,
    success: HttpApiSchema.WithHeaders(ComposeAccepted.pipe(HttpApiSchema.status(202)), { location: Schema.String }),
    error: [BadRequest, QuotaSpent, KeyReused, BodyTooLarge, WrongMediaType, QuotaExceeded, Unavailable]
  }).annotate(OpenApi.Summary, "Ask for images"),
  HttpApiEndpoint.get("list", "/", {
    query: ListQuery,
    success: HttpApiSchema.WithHeaders(ComposePage, { link: optional(Schema.String) }),
    error: [BadRequest, Unavailable]
  }).annotate(OpenApi.Summary, "List composes, newest first"),
  HttpApiEndpoint.get("show", "/:id", { ...one, success: ComposeDetails, error: [BadRequest, NotFound, Unavailable] }).annotate(OpenApi.Summary, "One compose with its images, jobs and attempts"),
  HttpApiEndpoint.get("events", "/:id/events", {
    ...one,
    headers: { "last-event-id": optional(Schema.String) },
    success: HttpApiSchema.StreamSse({ events: ComposeStreamEvent }),
    error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "Follow a compose as server-sent events"),
  HttpApiEndpoint.get("logs", "/:id/logs", {
    ...one,
    query: { job: optional(JobId), follow: optional(Schema.Literals(["true", "false"])) },
    success: Schema.String.pipe(HttpApiSchema.asText()),
    error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "What its jobs have printed"),
  HttpApiEndpoint.get("artifacts", "/:id/artifacts", {
    ...one, success: Schema.Array(ArtifactView), error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "Its files, with links to download them"),
  HttpApiEndpoint.post("cancel", "/:id/cancel", {
    ...one,
    success: ComposeDetails.pipe(HttpApiSchema.status(202)),
    error: [BadRequest, NotFound, ComposeEnded, Unavailable]
  }).annotate(OpenApi.Summary, "Cancel a compose"),
  HttpApiEndpoint.post("retry", "/:id/retry", {
    ...one,
    query: { job: optional(JobId) },
    success: ComposeDetails.pipe(HttpApiSchema.status(202)),
    error: [BadRequest, NotFound, ComposeEnded, Unavailable]
  }).annotate(OpenApi.Summary, "Try a failed compose, or one job of it, again")
).middleware(Authorization).prefix("/composes") {}
