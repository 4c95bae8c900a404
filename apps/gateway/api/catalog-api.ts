/** What can be asked for. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { DistributionId } from "../../../domain/compose-request.ts"
import { Architecture } from "../../../domain/ids.ts"
import { Parameter } from "../../../domain/parameters.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, NotFound, Unavailable } from "./problems.ts"

export const DistributionView = Schema.Struct({
  id: Schema.String,
  name: Schema.String,
  /** Keys that `customizations` may have; absent: all. */
  customizations: Schema.optionalKey(Schema.Array(Schema.String)),
  architectures: Schema.Array(Schema.Struct({
    architecture: Architecture,
    image_types: Schema.Array(Schema.Struct({
      type: Schema.String,
      description: Schema.String,
      /** Keys that `images[].options` may have. */
      options: Schema.Array(Schema.String),
      bootable: Schema.Boolean,
      /** What `images[].options.parameters` may have, where that is one of the options. */
      parameters: Schema.optionalKey(Schema.Record(Schema.String, Parameter))
    }))
  }))
}).annotate({ identifier: "Distribution" })
export type DistributionView = typeof DistributionView.Type

export const PackageView = Schema.Struct({
  name: Schema.String,
  version: Schema.String,
  summary: Schema.String,
  section: Schema.String
}).annotate({ identifier: "Package" })
export type PackageView = typeof PackageView.Type

export class CatalogApi extends HttpApiGroup.make("catalog").add(
  HttpApiEndpoint.get("distributions", "/distributions", { success: Schema.Array(DistributionView) }).annotate(OpenApi.Summary, "What can be built"),
  HttpApiEndpoint.get("distribution", "/distributions/:id", {
    params: { id: DistributionId }, success: DistributionView, error: [BadRequest, NotFound]
  }).annotate(OpenApi.Summary, "One distribution"),
  HttpApiEndpoint.get("packages", "/packages", {
    query: Schema.Struct({
      distribution: DistributionId,
      architecture: Architecture,
      search: Schema.String.check(Schema.isPattern(/^[a-z0-9][a-z0-9+.-]{0,127}$/u, {
        expected: "part of a package name: lower-case letters, digits and + - ."
      })),
      limit: Schema.optionalKey(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 })))
    }),
    success: Schema.Array(PackageView),
    error: [BadRequest, Unavailable]
  }).annotate(OpenApi.Summary, "Search the packages of a distribution")
).middleware(Authorization) {}
