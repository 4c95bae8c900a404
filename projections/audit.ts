/** Who did what, and when: one row for each thing that somebody has decided, of every kind of aggregate. */
import { Schema } from "effect"
import { Actor, type AggregateKind, type EventOf } from "../domain/recorded.ts"
import type { Projection } from "./projection.ts"
import type { Listing } from "./rows.ts"

/** `action` is the event's name; `trace` the request it came from. What an event holds stays in the log, but for the words of an operation. */
export const AuditRow = Schema.Struct({
  tenantId: Schema.String,
  stream: Schema.String,
  sequence: Schema.Int,
  place: Schema.Int,
  at: Schema.Int,
  actorKind: Actor.fields.kind,
  actorId: Schema.String,
  action: Schema.String,
  aggregate: Schema.String,
  aggregateId: Schema.String,
  revision: Schema.Int,
  trace: Schema.NullOr(Schema.String),
  detail: Schema.NullOr(Schema.String)
})
export type AuditRow = typeof AuditRow.Type

/** What follows by itself from something else that is here: it fills lists and tells nobody anything. */
const routine: ReadonlySet<string> = new Set([
  "JobQueued", "JobStarted", "JobSucceeded", "JobFailed", "JobLost", "JobReturned", "JobCanceled", "ImageGone", "ComposeFinished",
  "QuotaReserved", "QuotaSettled", "QuotaReleased", "BytesFreed", "CheckRequested", "BuildSkipped", "BuildRequested", "BuildDelayed", "BuildEnded", "BlueprintNameClaimed", "BlueprintNameReleased"
])

export const audit: Projection<AuditRow> = {
  name: "audit",
  version: 2,
  aggregates: "all",
  row: AuditRow,
  columns: {
    tenantId: { type: "text" },
    stream: { type: "text" },
    sequence: { type: "bigint" },
    place: { type: "integer" },
    at: { type: "millis" },
    actorKind: { type: "text" },
    actorId: { type: "text" },
    action: { type: "text" },
    aggregate: { type: "text" },
    aggregateId: { type: "text" },
    revision: { type: "integer" },
    trace: { type: "text", nullable: true },
    detail: { type: "text", nullable: true }
  },
  key: ["stream", "sequence", "place"],
  indexes: [[], ["actorId"], ["action"], ["aggregateId"]].map((fields) => [...fields, "-at", "-stream", "-sequence", "-place"]),
  insertOnly: true,
  about: ({ event, place, recorded: { position } }) =>
    routine.has(event._tag) ? undefined : { stream: position.stream, sequence: position.sequence, place },
  evolve: (_, { event, place, recorded: { actor, aggregate, at, id, position, revision, tenantId, trace = null } }) => ({
    tenantId, ...position, place, at, actorKind: actor.kind, actorId: actor.id, action: event._tag, aggregate, aggregateId: id, revision, trace,
    detail: detailOf(event)
  })
}

const detailOf = (event: EventOf<AggregateKind>): string | null => {
  switch (event._tag) {
    case "OperationBegun":
      return event.on
    case "OperationSucceeded":
      return event.result ?? null
    case "OperationFailed":
      return event.reason
    default:
      return null
  }
}

export const auditList: Listing<AuditRow> = { projection: audit, order: ["at", "stream", "sequence", "place"] }
