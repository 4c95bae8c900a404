/** Images that are declared once and built again by rule. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { ComposeRequest, DistributionId } from "../../../domain/compose-request.ts"
import { ComposeId, Digest, PipelineName } from "../../../domain/ids.ts"
import { Failure } from "../../../domain/job.ts"
import { PipelineDocument } from "../../../domain/pipeline-document.ts"
import { BuildReason } from "../../../domain/pipeline-events.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, BodyTooLarge, BuildNotGood, NotFound, PipelineChanged, PipelinePaused, TooManyPipelines, Unavailable, WrongMediaType } from "./problems.ts"
import { PageQuery } from "./queries.ts"

const optional = Schema.optionalKey
const Time = Schema.String.annotate({ description: "RFC 3339, UTC", examples: ["2026-01-31T12:00:00.000Z"] })

export const PipelineBuildView = Schema.Struct({
  number: Schema.Int,
  compose: ComposeId,
  why: BuildReason,
  status: Schema.Literals(["building", "good", "failed", "canceled"]),
  requested_at: Time,
  ended_at: optional(Time),
  /** Names the packages that it was resolved to, where its builder resolves. */
  packages: optional(Digest),
  failure: optional(Failure)
}).annotate({ identifier: "PipelineBuild" })
export type PipelineBuildView = typeof PipelineBuildView.Type

/** `waiting`: for room in the quota. `retrying`: something has failed, and is tried again at `next`. */
export const PipelineStatus = Schema.Literals(["idle", "building", "checking", "waiting", "retrying", "paused"])
export type PipelineStatus = typeof PipelineStatus.Type

const what = Schema.Literals(["build", "check"])

const facts = {
  name: PipelineName,
  status: PipelineStatus,
  /** How often it was declared or changed. */
  version: Schema.Int,
  distribution: DistributionId,
  declared_at: Time,
  changed_at: Time,
  schedule: optional(Schema.Struct({ cron: optional(Schema.String), every: optional(Schema.String), time_zone: optional(Schema.String) })),
  max_age: optional(Schema.String),
  keep: optional(Schema.Int),
  promotion: Schema.Literals(["auto", "manual"]),
  pause_after: Schema.Int,
  retry_after: Schema.String,
  /** What it does next, and when; nothing where it waits for somebody to ask. */
  next: optional(Schema.Struct({ what, why: BuildReason, at: Time })),
  paused: optional(Schema.Struct({ by: Schema.Literals(["failures", "request"]), at: Time })),
  waiting_for: optional(Schema.Struct({ rule: Schema.Literals(["composes", "stored_bytes"]), limit: Schema.Int, used: Schema.Int, since: Time, until: optional(Time) })),
  /** In a row. */
  failures: Schema.Int,
  last_failure: optional(Schema.Struct({ what, at: Time, message: Schema.String })),
  last_check: optional(Schema.Struct({ compose: ComposeId, at: Time, outcome: Schema.Literals(["same", "different", "failed", "canceled"]) })),
  /** The compose that only resolves, while it does. */
  checking: optional(ComposeId),
  last_build: optional(PipelineBuildView),
  /** The one that the pipeline's name stands for. */
  promoted: optional(PipelineBuildView)
}

export const PipelineView = Schema.Struct(facts).annotate({ identifier: "Pipeline" })
export type PipelineView = typeof PipelineView.Type

/** `builds`: the newest first, a hundred at most. Passwords in `compose` are masked. */
export const PipelineDetails = Schema.Struct({ ...facts, compose: ComposeRequest, builds: Schema.Array(PipelineBuildView) }).annotate({ identifier: "PipelineDetails" })
export type PipelineDetails = typeof PipelineDetails.Type

export const PipelinePage = Schema.Struct({ items: Schema.Array(PipelineView), next: optional(Schema.String) }).annotate({ identifier: "PipelinePage" })

/** Values as JSON; without `from` it is added, without `to` it goes. */
export const PipelineDeclared = Schema.Struct({
  result: Schema.Literals(["declared", "changed", "same"]),
  dry_run: Schema.Boolean,
  /** Of what there was before, 0 if there was nothing. */
  version: Schema.Int,
  differences: Schema.Array(Schema.Struct({ path: Schema.String, from: optional(Schema.String), to: optional(Schema.String) }))
}).annotate({ identifier: "PipelineDeclared" })
export type PipelineDeclared = typeof PipelineDeclared.Type

export const PipelineQuery = Schema.Struct({ ...PageQuery, distribution: optional(DistributionId) })
/** `dry_run`: only say what would change. `version`: refuse, if it is not of this version. */
export const DeclareQuery = Schema.Struct({ dry_run: optional(Schema.Literals(["true", "false"])), version: optional(Schema.Int.check(Schema.isGreaterThanOrEqualTo(0))) })

const one = { params: { name: PipelineName } }
const errors = [BadRequest, NotFound, Unavailable] as const

export class PipelinesApi extends HttpApiGroup.make("pipelines").add(
  HttpApiEndpoint.get("list", "/pipelines", {
    query: PipelineQuery, success: HttpApiSchema.WithHeaders(PipelinePage, { link: optional(Schema.String) }), error: [BadRequest, Unavailable]
  }).annotate(OpenApi.Summary, "The tenant's pipelines, those declared last first"),
  HttpApiEndpoint.get("show", "/pipelines/:name", { ...one, success: PipelineDetails, error: errors })
    .annotate(OpenApi.Summary, "One pipeline with its builds"),
  HttpApiEndpoint.put("declare", "/pipelines/:name", {
    ...one, query: DeclareQuery, payload: PipelineDocument, success: PipelineDeclared,
    error: [...errors, BodyTooLarge, WrongMediaType, PipelineChanged, TooManyPipelines]
  }).annotate(OpenApi.Summary, "Declare a pipeline, in place of one of that name, and say how it differs"),
  HttpApiEndpoint.delete("remove", "/pipelines/:name", { ...one, success: HttpApiSchema.NoContent, error: errors })
    .annotate(OpenApi.Summary, "Delete a pipeline; what it has built stays as any other compose"),
  HttpApiEndpoint.post("build", "/pipelines/:name/builds", { ...one, success: PipelineDetails.pipe(HttpApiSchema.status(202)), error: [...errors, PipelinePaused] })
    .annotate(OpenApi.Summary, "Ask for a build"),
  HttpApiEndpoint.post("pause", "/pipelines/:name/pause", { ...one, success: PipelineDetails, error: errors })
    .annotate(OpenApi.Summary, "Begin nothing new; what is under way goes on"),
  HttpApiEndpoint.post("resume", "/pipelines/:name/resume", { ...one, success: PipelineDetails, error: errors })
    .annotate(OpenApi.Summary, "Go on; what has failed is tried at once"),
  HttpApiEndpoint.post("promote", "/pipelines/:name/promote", {
    ...one, payload: Schema.Struct({ build: Schema.Int.check(Schema.isGreaterThanOrEqualTo(1)) }), success: PipelineDetails, error: [...errors, BuildNotGood]
  }).annotate(OpenApi.Summary, "Have the pipeline's name stand for this build")
).middleware(Authorization) {}
