/** Delivered copies on their way out: by hand, or because their time is over. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ComposeId } from "../../../domain/ids.ts"
import { Authorization } from "./authorization.ts"
import { ComposeDetails } from "./compose-views.ts"
import { BadRequest, ComposeOpen, CopyPromoted, NotFound, Unavailable } from "./problems.ts"

/** `why`: it is older than it may get, or so many newer ones are there. */
export const ExpiredCopyView = Schema.Struct({
  compose: ComposeId,
  image: Schema.Int,
  target: Schema.Int,
  type: Schema.String,
  size: Schema.Int,
  delivered_at: Schema.String,
  why: Schema.Literals(["age", "count"])
}).annotate({ identifier: "ExpiredCopy" })
export type ExpiredCopyView = typeof ExpiredCopyView.Type

const Place = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 999 }))

/** `force`: though a pipeline's name stands for it. */
export const ForceQuery = Schema.Struct({ force: Schema.optionalKey(Schema.Literals(["true", "false"])) })

export class CopiesApi extends HttpApiGroup.make("copies").add(
  HttpApiEndpoint.delete("remove", "/composes/:id/images/:image/targets/:target", {
    params: { id: ComposeId, image: Place, target: Place },
    query: ForceQuery,
    success: ComposeDetails.pipe(HttpApiSchema.status(202)),
    error: [BadRequest, NotFound, ComposeOpen, CopyPromoted, Unavailable]
  }).annotate(OpenApi.Summary, "Remove what was delivered to a target"),
  HttpApiEndpoint.get("expired", "/retention", { success: Schema.Array(ExpiredCopyView), error: [Unavailable] })
    .annotate(OpenApi.Summary, "Copies whose time is over, which go next"),
  HttpApiEndpoint.post("expire", "/retention", {
    success: Schema.Array(ExpiredCopyView).pipe(HttpApiSchema.status(202)), error: [Unavailable]
  }).annotate(OpenApi.Summary, "Remove them now")
).middleware(Authorization) {}
