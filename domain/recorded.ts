/** A decision as the log keeps it: the events of one command, and all that is true of them together. */
import { Schema } from "effect"
import { AccountEvent } from "./account.ts"
import { BlueprintNameEvent } from "./blueprint-name.ts"
import { BlueprintEvent } from "./blueprint.ts"
import { ComposeEvent } from "./compose-events.ts"
import { CredentialsEvent } from "./credential-sets.ts"
import { type BlueprintId, type ComposeId, Millis, type PipelineName, type TenantId } from "./ids.ts"
import { OperationEvent } from "./operation.ts"
import { PipelineEvent } from "./pipeline-events.ts"
import { WebhooksEvent } from "./webhooks.ts"

export const Actor = Schema.Struct({
  kind: Schema.Literals(["requester", "operator", "worker", "system"]),
  /** The token's subject, a worker's name, or the process that acted. */
  id: Schema.String
})
export type Actor = typeof Actor.Type

/** Every kind of aggregate, with what can happen to one. */
export const aggregateEvents = {
  compose: ComposeEvent, account: AccountEvent, credentials: CredentialsEvent, pipeline: PipelineEvent, operation: OperationEvent, webhooks: WebhooksEvent,
  blueprint: BlueprintEvent, "blueprint-name": BlueprintNameEvent
} as const
export type AggregateKind = keyof typeof aggregateEvents
export type EventOf<Kind extends AggregateKind> = (typeof aggregateEvents)[Kind]["Type"]

/** One aggregate's address in the log. */
export interface AggregateRef<Kind extends AggregateKind = AggregateKind> {
  readonly tenantId: TenantId
  readonly aggregate: Kind
  readonly id: string
}

export const composeRef = (tenantId: TenantId, id: ComposeId): AggregateRef<"compose"> => ({ tenantId, aggregate: "compose", id })

/** A tenant has one account. */
export const accountRef = (tenantId: TenantId): AggregateRef<"account"> => ({ tenantId, aggregate: "account", id: "main" })

/** All of a tenant's sets of credentials together. */
export const credentialsRef = (tenantId: TenantId): AggregateRef<"credentials"> => ({ tenantId, aggregate: "credentials", id: "main" })

export const pipelineRef = (tenantId: TenantId, name: PipelineName): AggregateRef<"pipeline"> => ({ tenantId, aggregate: "pipeline", id: name })

export const blueprintRef = (tenantId: TenantId, id: BlueprintId): AggregateRef<"blueprint"> => ({ tenantId, aggregate: "blueprint", id })

/** `id`: what stands for the name in addresses. */
export const blueprintNameRef = (tenantId: TenantId, id: string): AggregateRef<"blueprint-name"> => ({ tenantId, aggregate: "blueprint-name", id })

/** Each operation is one of its own, begun and ended. */
export const operationRef = (tenantId: TenantId, id: string): AggregateRef<"operation"> => ({ tenantId, aggregate: "operation", id })

/** All of a tenant's webhooks together. */
export const webhooksRef = (tenantId: TenantId): AggregateRef<"webhooks"> => ({ tenantId, aggregate: "webhooks", id: "main" })

/** What an envelope says beside address and events; position and revision come from where it lies. */
export const DecisionFields = {
  /** Also the command's id: the same command again is recognised by it. */
  messageId: Schema.String,
  at: Millis,
  actor: Actor,
  /** W3C `traceparent` of the request that led here. */
  trace: Schema.optionalKey(Schema.String)
}

/** What is written. */
export interface Decision<Kind extends AggregateKind = AggregateKind> extends Schema.Struct.Type<typeof DecisionFields> {
  readonly events: readonly [EventOf<Kind>, ...Array<EventOf<Kind>>]
}

/** A place in the whole log: `sequence` counts from 1 within its stream. */
export interface Position {
  readonly stream: string
  readonly sequence: number
}

interface RecordedOf<Kind extends AggregateKind> extends Decision<Kind>, AggregateRef<Kind> {
  readonly _tag: "Recorded"
  readonly position: Position
  /** The aggregate's first decision has revision 1. */
  readonly revision: number
}

/** Told apart by `aggregate`. */
export type Recorded<Kind extends AggregateKind = AggregateKind> = { [Each in Kind]: RecordedOf<Each> }[Kind]

/** An entry that no schema of today and no upcaster can read. Nobody stops for it; operators hear of it. */
export interface Unreadable {
  readonly _tag: "Unreadable"
  readonly position: Position
  readonly subject: string
  /** Whose it is, as far as its address tells. */
  readonly ref?: AggregateRef
  readonly reason: string
}

export type LogEntry = Recorded | Unreadable
