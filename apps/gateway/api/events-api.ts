/** What happens at a tenant, as it happens. */
import { Schema } from "effect"
import { HttpApiEndpoint, HttpApiGroup, HttpApiSchema, OpenApi } from "effect/http-api"
import { line, list } from "../../../domain/text.ts"
import { TypePattern } from "../../../domain/webhook-settings.ts"
import { Authorization } from "./authorization.ts"
import { BadRequest, TooManyStreams, Unavailable } from "./problems.ts"

const optional = Schema.optionalKey

/** `data` is a CloudEvent, whose `type` is the event's name. */
export const TenantStreamEvent = Schema.Struct({ id: Schema.optional(Schema.String), event: Schema.String, data: Schema.String })

export const EventsQuery = Schema.Struct({
  /** Where to begin: an id of this stream, or 0 for the beginning of the log. */
  after: optional(Schema.String.check(Schema.isMaxLength(4000))),
  type: optional(list(TypePattern, 50)),
  /** `name` or `name=value`, of the compose that it is about. */
  label: optional(list(line(270), 32))
})

export class EventsApi extends HttpApiGroup.make("events").add(
  HttpApiEndpoint.get("follow", "/events", {
    headers: { "last-event-id": optional(Schema.String) },
    query: EventsQuery,
    success: HttpApiSchema.StreamSse({ events: TenantStreamEvent }),
    error: [BadRequest, TooManyStreams, Unavailable]
  }).annotate(OpenApi.Summary, "Follow what happens at the tenant as server-sent events")
).middleware(Authorization) {}
