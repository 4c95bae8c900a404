/** What crashes left behind in clouds, for operators of the installation. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ComposeId, JobId, TenantId } from "../../../domain/ids.ts"
import { CloudResource } from "../../../domain/image-copy.ts"
import { Leftover } from "../../../domain/scheduling/reaper-report.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, Forbidden, Unavailable } from "./problems.ts"

const optional = Schema.optionalKey

export const LeftoverView = Schema.Struct({
  tenant: TenantId,
  compose: ComposeId,
  job: JobId,
  type: Schema.String,
  resource: CloudResource,
  /** Of the two passes: `noted` by the first, `waiting` for its time to be over, `due` in the second; `unknown`: of no compose of this installation, it stays. */
  status: Leftover.fields.verdict,
  made_at: optional(Schema.String),
  noted_at: optional(Schema.String),
  problem: optional(Schema.String)
}).annotate({ identifier: "Leftover" })
export type LeftoverView = typeof LeftoverView.Type

export const ReaperView = Schema.Struct({
  /** A sweep is being made, or soon will be; the rest is of the one before. */
  running: Schema.Boolean,
  swept_at: optional(Schema.String),
  dry_run: optional(Schema.Boolean),
  places: Schema.Array(Schema.Struct({
    tenant: TenantId, type: Schema.String, credentials: optional(Schema.String), place: Schema.String, things: Schema.Int,
    /** Why nobody could look there. */
    problem: optional(Schema.String)
  })),
  leftovers: Schema.Array(LeftoverView),
  /** How many more than those in the list. */
  more: Schema.Int
}).annotate({ identifier: "Reaper" })
export type ReaperView = typeof ReaperView.Type

export const Sweep = Schema.Struct({ tenant: optional(TenantId), dry_run: optional(Schema.Boolean) })

export class ReaperApi extends HttpApiGroup.make("reaper").add(
  HttpApiEndpoint.get("seen", "/reaper", { success: ReaperView, error: [Forbidden, Unavailable] })
    .annotate(OpenApi.Summary, "What the last sweep has found in clouds that nobody owns"),
  HttpApiEndpoint.post("sweep", "/reaper", {
    payload: Sweep, success: ReaperView.pipe(HttpApiSchema.status(202)), error: [BadRequest, Forbidden, Unavailable]
  }).annotate(OpenApi.Summary, "Look now, and remove what an earlier sweep has found too")
).middleware(Authorization) {}
