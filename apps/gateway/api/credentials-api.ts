/** A tenant's sets of credentials. What goes in never comes out again. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { Provider } from "../../../domain/credential-sets.ts"
import { Credentials } from "../../../domain/credentials.ts"
import { CredentialsName } from "../../../domain/target.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, NotFound, Unavailable } from "./problems.ts"

/** `fields`: those that were given. `fingerprint`: the same for the same values, and it tells nothing of them. */
export const CredentialsView = Schema.Struct({
  name: CredentialsName,
  provider: Provider,
  fields: Schema.Array(Schema.String),
  fingerprint: Schema.String,
  set_at: Schema.String,
  set_by: Schema.String
}).annotate({ identifier: "CredentialsSet" })
export type CredentialsView = typeof CredentialsView.Type

const one = { params: { name: CredentialsName } }

export class CredentialsApi extends HttpApiGroup.make("credentials").add(
  HttpApiEndpoint.get("list", "/credentials", { success: Schema.Array(CredentialsView), error: [Unavailable] })
    .annotate(OpenApi.Summary, "The tenant's sets of credentials, without their values"),
  HttpApiEndpoint.get("show", "/credentials/:name", { ...one, success: CredentialsView, error: [BadRequest, NotFound, Unavailable] })
    .annotate(OpenApi.Summary, "One set, without its values"),
  HttpApiEndpoint.put("set", "/credentials/:name", { ...one, payload: Credentials, success: CredentialsView, error: [BadRequest, NotFound, Unavailable] })
    .annotate(OpenApi.Summary, "Store a set, in place of one of that name"),
  HttpApiEndpoint.delete("remove", "/credentials/:name", { ...one, success: HttpApiSchema.NoContent, error: [BadRequest, NotFound, Unavailable] })
    .annotate(OpenApi.Summary, "Remove a set")
).middleware(Authorization) {}
