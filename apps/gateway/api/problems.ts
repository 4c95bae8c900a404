/** Every way this API says no, as RFC 9457 documents (`application/problem+json`). */
import { Schema } from "effect"
import { HttpApiError } from "effect/http-api"

const type = <Name extends string>(name: Name) => `urn:kiln:problem:${name}` as const

/** `in` says which part of the request, `path` where in it, such as `images[0].type`. */
export const Fault = Schema.Struct({
  in: Schema.Literals(["body", "query", "path", "header"]),
  path: Schema.String,
  message: Schema.String
})
export type Fault = typeof Fault.Type

export class BadRequest extends HttpApiError.Problem<BadRequest>()("BadRequest", {
  type: type("bad-request"), status: 400, title: "The request is not right"
}, { errors: Schema.Array(Fault) }) {}

export class Unauthorized extends HttpApiError.Problem<Unauthorized>()("Unauthorized", {
  type: type("unauthorized"), status: 401, title: "A valid bearer token is needed"
}) {}

export class Forbidden extends HttpApiError.Problem<Forbidden>()("Forbidden", {
  type: type("forbidden"), status: 403, title: "Not allowed"
}) {}

/** What a full quota says: its rule, how much of it there is, and how much is used. */
const quota = { rule: Schema.Literals(["composes", "stored_bytes"]), limit: Schema.Int, used: Schema.Int }

/** Waiting does not help: the rule allows none, or images have to go first. */
export class QuotaSpent extends HttpApiError.Problem<QuotaSpent>()("QuotaSpent", {
  type: type("quota-spent"), status: 403, title: "The quota is spent"
}, quota) {}

/** Also the answer for what belongs to another tenant. */
export class NotFound extends HttpApiError.Problem<NotFound>()("NotFound", {
  type: type("not-found"), status: 404, title: "Nothing there"
}) {}

export class MethodNotAllowed extends HttpApiError.Problem<MethodNotAllowed>()("MethodNotAllowed", {
  type: type("method-not-allowed"), status: 405, title: "This resource knows no such method"
}) {}

/** The compose has ended, so it cannot be canceled, or has nothing that could be tried again. */
export class ComposeEnded extends HttpApiError.Problem<ComposeEnded>()("ComposeEnded", {
  type: type("compose-ended"), status: 409, title: "The compose has ended already"
}, { compose_status: Schema.String }) {}

/** Not every image can be built once more: `detail` says why not this one. */
export class NotVerifiable extends HttpApiError.Problem<NotVerifiable>()("NotVerifiable", {
  type: type("not-verifiable"), status: 409, title: "This image cannot be verified"
}) {}

/** Of what is under way nothing can be removed. */
export class ComposeOpen extends HttpApiError.Problem<ComposeOpen>()("ComposeOpen", {
  type: type("compose-open"), status: 409, title: "The compose has not ended yet"
}) {}

/** Of a tenant's blueprints each has another name; `blueprint` is the one that has this. */
export class BlueprintNameTaken extends HttpApiError.Problem<BlueprintNameTaken>()("BlueprintNameTaken", {
  type: type("blueprint-name-taken"), status: 409, title: "There is a blueprint of this name"
}, { blueprint: Schema.String }) {}

/** Somebody else has changed it meanwhile. */
export class BlueprintChanged extends HttpApiError.Problem<BlueprintChanged>()("BlueprintChanged", {
  type: type("blueprint-changed"), status: 412, title: "The blueprint has another version by now"
}, { version: Schema.Int }) {}

/** It begins nothing until it is resumed. */
export class PipelinePaused extends HttpApiError.Problem<PipelinePaused>()("PipelinePaused", {
  type: type("pipeline-paused"), status: 409, title: "The pipeline is paused"
}) {}

/** Somebody else has changed or deleted it, so what was shown is not what would be replaced. */
export class PipelineChanged extends HttpApiError.Problem<PipelineChanged>()("PipelineChanged", {
  type: type("pipeline-changed"), status: 409, title: "The pipeline has changed"
}) {}

/** It has not ended, or not well, or its images are gone. */
export class BuildNotGood extends HttpApiError.Problem<BuildNotGood>()("BuildNotGood", {
  type: type("build-not-good"), status: 409, title: "This build cannot be promoted"
}) {}

/** Another build has to be promoted first, or it has to be meant (`force`). */
export class CopyPromoted extends HttpApiError.Problem<CopyPromoted>()("CopyPromoted", {
  type: type("copy-promoted"), status: 409, title: "A pipeline's name stands for these images"
}, { pipeline: Schema.String, build: Schema.Int }) {}

/** Nothing is sent to it until it is enabled. */
export class WebhookDisabled extends HttpApiError.Problem<WebhookDisabled>()("WebhookDisabled", {
  type: type("webhook-disabled"), status: 409, title: "The webhook is disabled"
}) {}

/** The idempotency key was used before, for another request. */
export class KeyReused extends HttpApiError.Problem<KeyReused>()("KeyReused", {
  type: type("idempotency-key-reused"), status: 409, title: "This Idempotency-Key was used for another request"
}) {}

export class BodyTooLarge extends HttpApiError.Problem<BodyTooLarge>()("BodyTooLarge", {
  type: type("body-too-large"), status: 413, title: "The body is larger than 1 MiB"
}) {}

export class FileTooLarge extends HttpApiError.Problem<FileTooLarge>()("FileTooLarge", {
  type: type("file-too-large"), status: 413, title: "The file is too large"
}, { limit: Schema.Int }) {}

/** Other stored files have to go first. */
export class FilesFull extends HttpApiError.Problem<FilesFull>()("FilesFull", {
  type: type("files-full"), status: 403, title: "There is no room for more stored files"
}, { limit: Schema.Int, used: Schema.Int }) {}

/** Another pipeline has to be deleted first. */
export class TooManyPipelines extends HttpApiError.Problem<TooManyPipelines>()("TooManyPipelines", {
  type: type("too-many-pipelines"), status: 403, title: "There are as many pipelines as there may be"
}, { rule: Schema.Literal("pipelines"), limit: Schema.Int, used: Schema.Int }) {}

/** Of this tenant, at this gateway: another has to end first. */
export class TooManyStreams extends HttpApiError.Problem<TooManyStreams>()("TooManyStreams", {
  type: type("too-many-streams"), status: 429, title: "As many streams are open as may be"
}, { rule: Schema.Literal("event_streams"), limit: Schema.Int, used: Schema.Int }) {}

export class WrongMediaType extends HttpApiError.Problem<WrongMediaType>()("WrongMediaType", {
  type: type("wrong-media-type"), status: 415, title: "The body must be application/json"
}) {}

export class WrongRange extends HttpApiError.Problem<WrongRange>()("WrongRange", {
  type: type("wrong-range"), status: 416, title: "The file has no such range"
}) {}

/** Well formed, but no set of packages can be what it asks for; `excerpt` has apt's words. */
export class Unresolvable extends HttpApiError.Problem<Unresolvable>()("Unresolvable", {
  type: type("unresolvable"), status: 422, title: "The packages cannot be had"
}, { errors: Schema.Array(Fault), excerpt: Schema.optionalKey(Schema.String) }) {}

/** There is room again at `resets_at`; `window` as in the policy. */
export class QuotaExceeded extends HttpApiError.Problem<QuotaExceeded>()("QuotaExceeded", {
  type: type("quota-exceeded"), status: 429, title: "The quota is used up for now"
}, { ...quota, window: Schema.String, resets_at: Schema.String }) {}

/** `limit`: which bucket is empty, the tenant's or the token's. */
export class TooManyRequests extends HttpApiError.Problem<TooManyRequests>()("TooManyRequests", {
  type: type("too-many-requests"), status: 429, title: "Too many requests"
}, { limit: Schema.Literals(["tenant", "token"]), resets_at: Schema.String }) {}

/** Not the caller's fault and worth another try. */
export class Unavailable extends HttpApiError.Problem<Unavailable>()("Unavailable", {
  type: type("unavailable"), status: 503, title: "Not available at the moment"
}) {}
