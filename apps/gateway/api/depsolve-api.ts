/** The exact packages of an image, without a compose. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, OpenApi } from "effect/http-api"
import { DistributionId, ImageType } from "../../../domain/compose-request.ts"
import { Customizations } from "../../../domain/customizations.ts"
import { Architecture } from "../../../domain/ids.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, BodyTooLarge, Unavailable, Unresolvable, WrongMediaType } from "./problems.ts"

export const DepsolveRequest = Schema.Struct({
  distribution: DistributionId,
  architecture: Architecture,
  /** The first that the distribution offers, unless said. */
  image_type: Schema.optionalKey(ImageType),
  customizations: Schema.optionalKey(Customizations)
}).annotate({ identifier: "DepsolveRequest" })
export type DepsolveRequest = typeof DepsolveRequest.Type

/** Sorted by name; sizes are those of the archives. */
export const DepsolveView = Schema.Struct({
  distribution: DistributionId,
  architecture: Architecture,
  image_type: ImageType,
  packages: Schema.Array(Schema.Struct({
    name: Schema.String,
    version: Schema.String,
    architecture: Schema.String,
    size: Schema.Int
  })),
  download_bytes: Schema.Int
}).annotate({ identifier: "Depsolve" })
export type DepsolveView = typeof DepsolveView.Type

export class DepsolveApi extends HttpApiGroup.make("depsolve").add(
  HttpApiEndpoint.post("depsolve", "/depsolve", {
    payload: DepsolveRequest,
    success: DepsolveView,
    error: [BadRequest, BodyTooLarge, WrongMediaType, Unresolvable, Unavailable]
  }).annotate(OpenApi.Summary, "The exact packages of an image, and how much there is to download")
).middleware(Authorization) {}
