/** A tenant's blueprints: compose requests kept under names, in versions. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { BlueprintDescription, BlueprintName, BlueprintVersion } from "../../../domain/blueprint.ts"
import { ComposeRequest, DistributionId, ImageType } from "../../../domain/compose-request.ts"
import { BlueprintId } from "../../../domain/ids.ts"
import { list } from "../../../domain/text.ts"
import { Authorization } from "./authorization.ts"
import { ComposeAccepted } from "./compose-views.ts"
import { IdempotencyKey, ListQuery } from "./composes-api.ts"
import {
  BadRequest, BlueprintChanged, BlueprintNameTaken, BodyTooLarge, KeyReused, NotFound, QuotaExceeded, QuotaSpent, Unavailable, WrongMediaType
} from "./problems.ts"
import { PageQuery, WithinQuery } from "./queries.ts"

const optional = Schema.optionalKey
const Time = Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] })

/** In `request`, a password `"***"` stands for the one that the user of that name has in the version before. */
export const BlueprintDocument = Schema.Struct({
  name: BlueprintName,
  description: optional(BlueprintDescription),
  request: ComposeRequest
}).annotate({ identifier: "BlueprintDocument" })
export type BlueprintDocument = typeof BlueprintDocument.Type

/** What lists show: of the latest version. */
export const BlueprintItem = Schema.Struct({
  id: BlueprintId,
  name: Schema.String,
  description: optional(Schema.String),
  version: Schema.Int,
  distribution: Schema.String,
  images: Schema.Int,
  created_at: Time,
  created_by: Schema.String,
  changed_at: Time,
  changed_by: Schema.String
}).annotate({ identifier: "BlueprintItem" })
export type BlueprintItem = typeof BlueprintItem.Type

export const BlueprintVersionItem = Schema.Struct({
  version: Schema.Int,
  at: Time,
  by: Schema.String,
  distribution: Schema.String,
  images: Schema.Int
}).annotate({ identifier: "BlueprintVersion" })
export type BlueprintVersionItem = typeof BlueprintVersionItem.Type

/** Without `from` it was added, without `to` it went. Values as JSON; of a secret it is only said that it is another. */
export const BlueprintDifference = Schema.Struct({ path: Schema.String, from: optional(Schema.String), to: optional(Schema.String) })
export type BlueprintDifference = typeof BlueprintDifference.Type

/** Between two versions. */
export const BlueprintDifferences = Schema.Struct({ from: Schema.Int, to: Schema.Int, differences: Schema.Array(BlueprintDifference) })
  .annotate({ identifier: "BlueprintDifferences" })
export type BlueprintDifferences = typeof BlueprintDifferences.Type

/**
 * One version in full; `request` has `"***"` for every secret, `latest` is the newest version's number. `differences`: where it
 * was made or changed, from what was before.
 */
export const BlueprintView = Schema.Struct({
  ...BlueprintItem.fields,
  latest: Schema.Int,
  request: ComposeRequest,
  differences: optional(Schema.Array(BlueprintDifference))
}).annotate({ identifier: "Blueprint" })
export type BlueprintView = typeof BlueprintView.Type

export const BlueprintPage = Schema.Struct({ items: Schema.Array(BlueprintItem), next: optional(Schema.String) }).annotate({ identifier: "BlueprintPage" })
export type BlueprintPage = typeof BlueprintPage.Type

export const BlueprintVersionPage = Schema.Struct({ items: Schema.Array(BlueprintVersionItem), next: optional(Schema.String) })
  .annotate({ identifier: "BlueprintVersionPage" })
export type BlueprintVersionPage = typeof BlueprintVersionPage.Type

/** The latest `version` unless one is said; only images of these types, all unless some are said. */
export const BuildBlueprint = Schema.Struct({
  version: optional(BlueprintVersion),
  image_types: optional(list(ImageType, 16).check(Schema.isMinLength(1)))
}).annotate({ identifier: "BuildBlueprint" })
export type BuildBlueprint = typeof BuildBlueprint.Type

/** `since` and `until`: when it was changed last. */
export const BlueprintQuery = Schema.Struct({
  ...PageQuery, ...WithinQuery,
  /** Exactly this name; of those that there are now. */
  name: optional(BlueprintName),
  distribution: optional(DistributionId),
  /** Every word must begin a word of name, description or distribution. */
  search: ListQuery.fields.search
})

const one = { params: { id: BlueprintId } }
/** `true`: only judge it, and say what it would come to. */
const dry = { query: { dry_run: optional(Schema.Literals(["true", "false"])) } }
const VersionText = Schema.String.check(Schema.isPattern(/^"?[0-9]{1,6}"?$/, { expected: "the number of a version" }))

export class BlueprintsApi extends HttpApiGroup.make("blueprints").add(
  HttpApiEndpoint.get("list", "/", {
    query: BlueprintQuery, success: HttpApiSchema.WithHeaders(BlueprintPage, { link: optional(Schema.String) }), error: [BadRequest, Unavailable]
  }).annotate(OpenApi.Summary, "Blueprints, those changed last first"),
  HttpApiEndpoint.post("create", "/", {
    ...dry,
    payload: BlueprintDocument,
    success: HttpApiSchema.WithHeaders(BlueprintView.pipe(HttpApiSchema.status(201)), { location: Schema.String }),
    error: [BadRequest, BlueprintNameTaken, BodyTooLarge, WrongMediaType, Unavailable]
  }).annotate(OpenApi.Summary, "Keep a request as a blueprint"),
  HttpApiEndpoint.get("show", "/:id", {
    ...one, query: { version: optional(BlueprintVersion) }, success: BlueprintView, error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "A blueprint with its latest version, or another"),
  HttpApiEndpoint.put("change", "/:id", {
    ...one, ...dry,
    headers: { "if-match": optional(VersionText) },
    payload: BlueprintDocument,
    success: BlueprintView,
    error: [BadRequest, NotFound, BlueprintNameTaken, BlueprintChanged, BodyTooLarge, WrongMediaType, Unavailable]
  }).annotate(OpenApi.Summary, "Change a blueprint; another request is a new version"),
  HttpApiEndpoint.delete("remove", "/:id", { ...one, success: HttpApiSchema.NoContent, error: [BadRequest, NotFound, Unavailable] })
    .annotate(OpenApi.Summary, "Delete a blueprint with its versions; its composes stay"),
  HttpApiEndpoint.get("versions", "/:id/versions", {
    ...one, query: PageQuery, success: HttpApiSchema.WithHeaders(BlueprintVersionPage, { link: optional(Schema.String) }), error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "A blueprint's versions, newest first"),
  HttpApiEndpoint.get("differences", "/:id/differences", {
    ...one, query: { from: optional(BlueprintVersion), to: optional(BlueprintVersion) }, success: BlueprintDifferences, error: [BadRequest, NotFound, Unavailable]
  }).annotate(OpenApi.Summary, "How two versions of a blueprint differ"),
  HttpApiEndpoint.post("build", "/:id/composes", {
    ...one,
    headers: { "idempotency-key": optional(IdempotencyKey) },
    payload: BuildBlueprint,
    success: HttpApiSchema.WithHeaders(ComposeAccepted.pipe(HttpApiSchema.status(202)), { location: Schema.String }),
    error: [BadRequest, QuotaSpent, NotFound, KeyReused, BodyTooLarge, WrongMediaType, QuotaExceeded, Unavailable]
  }).annotate(OpenApi.Summary, "Ask for the images of a blueprint")
).middleware(Authorization).prefix("/blueprints") {}
