/** The contract of everything about composes, shared with clients and documentation. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ComposeRequest, DistributionId, ImageType } from "../../../domain/compose-request.ts"
import { BlueprintVersion } from "../../../domain/blueprint.ts"
import { Architecture, BlueprintId, ComposeId, JobId } from "../../../domain/ids.ts"
import { TargetType } from "../../../domain/target.ts"
import { line, list } from "../../../domain/text.ts"
import { ComposeStatus } from "../../../projections/compose-history.ts"
import { Authorization } from "./authorization.ts"
import { ComposeStreamEvent } from "./compose-stream.ts"
import { ArtifactView, ComposeAccepted, ComposeDetails, ComposePage } from "./compose-views.ts"
import { AsOfQuery, PageQuery, WithinQuery } from "./queries.ts"
import {
  BadRequest, BodyTooLarge, ComposeEnded, KeyReused, NotFound, NotVerifiable, QuotaExceeded, QuotaSpent, TooManyStreams, Unavailable,
  WrongMediaType
} from "./problems.ts"

const optional = Schema.optionalKey

/** Any printable ASCII without spaces around it. */
export const IdempotencyKey = Schema.String.check(Schema.isPattern(/^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$/, {
  expected: "1 to 255 printable ASCII characters"
}))

/** `since` and `until`: requested at or after, requested before. */
export const ListQuery = Schema.Struct({
  ...PageQuery,
  ...WithinQuery,
  status: optional(ComposeStatus),
  distribution: optional(DistributionId),
  /** Who asked: the subject of a token. */
  requester: optional(line(255)),
  /** Of one of its images. */
  image_type: optional(ImageType),
  architecture: optional(Architecture),
  target: optional(TargetType),
  /** It was made from; and from which version of that. */
  blueprint: optional(BlueprintId),
  blueprint_version: optional(BlueprintVersion),
  /** `name` or `name=value`; may be given more than once. */
  label: optional(list(line(270), 32)),
  /** Every word must begin a word of id, name, labels, distribution or failure. */
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
  HttpApiEndpoint.get("show", "/:id", { ...one, query: AsOfQuery, success: ComposeDetails, error: [BadRequest, NotFound, Unavailable] }).annotate(OpenApi.Summary, "One compose with its images, jobs and attempts"),
  HttpApiEndpoint.get("events", "/:id/events", {
    ...one,
    headers: { "last-event-id": optional(Schema.String) },
    query: { after: optional(Schema.String) },
    success: HttpApiSchema.StreamSse({ events: ComposeStreamEvent }),
    error: [BadRequest, NotFound, TooManyStreams, Unavailable]
  }).annotate(OpenApi.Summary, "Follow a compose as server-sent events"),
  HttpApiEndpoint.get("logs", "/:id/logs", {
    ...one,
    query: { job: optional(JobId), follow: optional(Schema.Literals(["true", "false"])) },
    success: Schema.String.pipe(HttpApiSchema.asText()),
    error: [BadRequest, NotFound, TooManyStreams, Unavailable]
  }).annotate(OpenApi.Summary, "What its jobs have printed"),
  HttpApiEndpoint.get("artifacts", "/:id/artifacts", {
    ...one, success: Schema.Array(ArtifactView), error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "Its files, with links to download them"),
  HttpApiEndpoint.post("cancel", "/:id/cancel", {
    ...one,
    success: ComposeDetails.pipe(HttpApiSchema.status(202)),
    error: [BadRequest, NotFound, ComposeEnded, Unavailable]
  }).annotate(OpenApi.Summary, "Cancel a compose"),
  HttpApiEndpoint.post("verify", "/:id/images/:image/verify", {
    params: { ...one.params, image: Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 })) },
    headers: { "idempotency-key": optional(IdempotencyKey) },
    success: HttpApiSchema.WithHeaders(ComposeAccepted.pipe(HttpApiSchema.status(202)), { location: Schema.String }),
    error: [BadRequest, QuotaSpent, NotFound, NotVerifiable, KeyReused, QuotaExceeded, Unavailable]
  }).annotate(OpenApi.Summary, "Build an image again, by another worker if there is one, and compare"),
  HttpApiEndpoint.post("retry", "/:id/retry", {
    ...one,
    query: { job: optional(JobId) },
    success: ComposeDetails.pipe(HttpApiSchema.status(202)),
    error: [BadRequest, NotFound, ComposeEnded, Unavailable]
  }).annotate(OpenApi.Summary, "Try a failed compose, or one job of it, again")
).middleware(Authorization).prefix("/composes") {}
