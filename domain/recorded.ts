/** A decision as the log keeps it: the events of one command, and all that is true of them together. */
import { Schema } from "effect"
import { ComposeEvent } from "./compose.ts"
import { ComposeId, Millis, TenantId } from "./ids.ts"

export const Actor = Schema.Struct({
  kind: Schema.Literals(["requester", "operator", "worker", "system"]),
  /** The token's subject, a worker's name, or the process that acted. */
  id: Schema.String
})
export type Actor = typeof Actor.Type

export const AggregateKind = Schema.Literals(["compose"])
export type AggregateKind = typeof AggregateKind.Type

/** One aggregate's address in the log. */
export interface AggregateRef {
  readonly tenantId: TenantId
  readonly aggregate: AggregateKind
  readonly id: string
}

export const composeRef = (tenantId: TenantId, id: ComposeId): AggregateRef => ({ tenantId, aggregate: "compose", id })

/** What is written; position and revision come from where it lies. */
export const Decision = Schema.Struct({
  /** Also the command's id: the same command again is recognised by it. */
  messageId: Schema.String,
  at: Millis,
  actor: Actor,
  /** W3C `traceparent` of the request that led here. */
  trace: Schema.optionalKey(Schema.String),
  events: Schema.NonEmptyArray(ComposeEvent)
})
export type Decision = typeof Decision.Type

/** A place in the whole log: `sequence` counts from 1 within its stream. */
export interface Position {
  readonly stream: string
  readonly sequence: number
}

export interface Recorded extends Decision, AggregateRef {
  readonly _tag: "Recorded"
  readonly position: Position
  /** The aggregate's first decision has revision 1. */
  readonly revision: number
}

/** An entry that no schema of today and no upcaster can read. Nobody stops for it; operators hear of it. */
export interface Unreadable {
  readonly _tag: "Unreadable"
  readonly position: Position
  readonly subject: string
  readonly reason: string
}

export type LogEntry = Recorded | Unreadable
