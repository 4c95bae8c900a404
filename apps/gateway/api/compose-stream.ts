/** The server-sent events of a compose. A stream goes on after the `id` in `Last-Event-ID`; not every event has one. */
import { Schema } from "effect"
import { JobId } from "../../../domain/ids.ts"
import { Failure, JobKind } from "../../../domain/job.ts"
import { ComposeStatus } from "../../../projections/compose-history.ts"
import { JobStatus, progressFields } from "./compose-views.ts"

const optional = Schema.optionalKey
const fromJob = { job: JobId, attempt: Schema.Int, at: Schema.String }

/** A decision about the compose; `jobs` are those that it changed. */
export const StatusChanged = Schema.Struct({
  status: ComposeStatus,
  at: Schema.String,
  revision: Schema.Int,
  jobs: Schema.Array(Schema.Struct({
    id: JobId,
    kind: JobKind,
    image: Schema.Int,
    target: optional(Schema.Int),
    status: JobStatus,
    attempt: Schema.Int,
    worker: optional(Schema.String),
    failure: optional(Failure)
  })),
  failure: optional(Failure)
})
export type StatusChanged = typeof StatusChanged.Type

export const Progressed = Schema.Struct({
  ...fromJob,
  ...progressFields
})
export type Progressed = typeof Progressed.Type

/** One line that a job printed. */
export const Printed = Schema.Struct({ ...fromJob, text: Schema.String })
export type Printed = typeof Printed.Type

/** Where there is one, the last event; the client should close. */
export const Ended = Schema.Struct({ status: ComposeStatus, failure: optional(Failure) })
export type Ended = typeof Ended.Type

/** The last event of a stream that goes on elsewhere, from the last `id`; `retry_ms`: not before. */
export const Reconnect = Schema.Struct({
  reason: Schema.Literals(["slow", "token-expired", "stopping", "unavailable"]),
  message: Schema.String,
  retry_ms: Schema.Int
})

const eventOf = <Name extends string, Data extends Schema.Top>(event: Name, data: Data) =>
  Schema.Struct({ id: Schema.optional(Schema.String), event: Schema.Literal(event), data: Schema.fromJsonString(data) })

export const ComposeStreamEvent = Schema.Union([
  eventOf("status", StatusChanged),
  eventOf("progress", Progressed),
  eventOf("line", Printed),
  eventOf("end", Ended),
  eventOf("reconnect", Reconnect)
])
export type ComposeStreamEvent = typeof ComposeStreamEvent.Type
