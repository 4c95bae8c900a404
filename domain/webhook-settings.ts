/** What a webhook is told by whoever wants it: where to, and what of all that happens. */
import { Schema } from "effect"
import { DistributionId, ImageType } from "./compose-request.ts"
import { TargetType } from "./target.ts"
import { matching, storable } from "./text.ts"

const optional = Schema.optionalKey

export const WebhookId = matching(/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/u, "the id of a webhook, a UUID in lower case").pipe(Schema.brand("WebhookId"))
export type WebhookId = typeof WebhookId.Type

/** Everything that webhooks are told of, by the names of CloudEvents' `type`. */
export const webhookTypes = [
  "kiln.compose.requested", "kiln.compose.reopened", "kiln.compose.succeeded", "kiln.compose.failed", "kiln.compose.canceled",
  "kiln.job.started", "kiln.job.succeeded", "kiln.job.failed", "kiln.job.lost", "kiln.job.returned", "kiln.job.canceled",
  "kiln.image.built", "kiln.image.verified", "kiln.image.tested", "kiln.image.delivered", "kiln.image.removed",
  "kiln.pipeline.built", "kiln.pipeline.failed", "kiln.pipeline.promoted", "kiln.pipeline.paused", "kiln.pipeline.resumed",
  "kiln.webhook.disabled", "kiln.webhook.test"
] as const
export type WebhookType = typeof webhookTypes[number]

/** Without user and password: they would be stored as they are. */
export const WebhookUrl = matching(/^https?:\/\/(\[[0-9a-f:.]+\]|[A-Za-z0-9._-]+)(:[0-9]{1,5})?([/?][\u0021-\u0022\u0024-\u007e]*)?$/u, "an address that begins with https:// or http://, without user, password and fragment")
  .check(Schema.isMaxLength(2000))

/** A type, or the types of a family, such as `kiln.compose.*`. */
export const TypePattern = matching(/^kiln\.([a-z]+\.)*([a-z]+|\*)$/u, "a type such as kiln.compose.failed, or kiln.compose.* for all of compose")
  .check(Schema.isMaxLength(60))

const some = <S extends Schema.Top>(each: S) => optional(Schema.NonEmptyArray(each).check(Schema.isMaxLength(50)))

/** Of what is about a compose, only if all that is given holds; lists hold if one of them does. What is about none passes. */
export const WebhookFilter = Schema.Struct({
  distributions: some(DistributionId),
  imageTypes: some(ImageType),
  targets: some(TargetType),
  /** Of the compose once it has happened. */
  statuses: some(Schema.Literals(["pending", "running", "succeeded", "failed", "canceled"])),
  /** Of the compose; `*` stands for any value. */
  labels: optional(Schema.Record(Schema.String.check(Schema.isMaxLength(63)), storable(200)).check(Schema.isMaxProperties(32)))
})
export type WebhookFilter = typeof WebhookFilter.Type

export const WebhookSettings = Schema.Struct({
  url: WebhookUrl,
  description: optional(storable(200)),
  /** All but the types of tests, unless said. */
  types: optional(Schema.NonEmptyArray(TypePattern).check(Schema.isMaxLength(50))),
  filter: optional(WebhookFilter)
})
export type WebhookSettings = typeof WebhookSettings.Type

/** Patterns that name nothing there is. */
export const unknownTypes = (patterns: ReadonlyArray<string>): ReadonlyArray<string> =>
  patterns.filter((pattern) => !webhookTypes.some((type) => matchesType([pattern], type)))

export const matchesType = (patterns: ReadonlyArray<string> | undefined, type: string): boolean =>
  patterns === undefined || patterns.some((pattern) => pattern === type || (pattern.endsWith(".*") && type.startsWith(pattern.slice(0, -1))))
