/** Files by signed links: no token, so that a browser or any download tool can fetch and resume them. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Digest } from "../../../domain/ids.ts"
import { BadRequest, Forbidden, NotFound, Unavailable, WrongRange } from "./problems.ts"

const optional = Schema.optionalKey

export class DownloadsApi extends HttpApiGroup.make("downloads").add(
  HttpApiEndpoint.get("file", "/artifacts/:digest/:filename", {
    params: { digest: Digest, filename: Schema.String.check(Schema.isMaxLength(255)) },
    query: { tenant: optional(Schema.String), expires: optional(Schema.String), signature: optional(Schema.String) },
    headers: {
      range: optional(Schema.String),
      "if-range": optional(Schema.String),
      "if-none-match": optional(Schema.String)
    },
    success: HttpApiSchema.StreamUint8Array(),
    error: [BadRequest, Forbidden, NotFound, WrongRange, Unavailable]
  }).annotate(OpenApi.Summary, "Download a file by its signed link; ranges resume it")
) {}
