import { Context, type Effect, Schema } from "effect"
import type { ComposeId, TenantId } from "../domain/ids.ts"
import type { ComposeRow, ComposeStatus } from "./compose-history.ts"

export class QueriesUnavailable extends Schema.TaggedError<QueriesUnavailable>()("QueriesUnavailable", { message: Schema.String }) {}

/** All that is given must hold; times are milliseconds since 1970, `until` not included. */
export interface ComposeFilter {
  readonly status?: ComposeStatus
  readonly distribution?: string
  readonly since?: number
  readonly until?: number
  /** Every word of it must occur, in any case, in id, name, labels, distribution or failure. */
  readonly search?: string
}

/** Newest first; `before` is the last row of the page before. */
export interface PageRequest {
  readonly limit: number
  readonly before?: { readonly requestedAt: number; readonly composeId: ComposeId }
}

/** The read model behind lists. May be some milliseconds behind the log. */
export class ComposeQueries extends Context.Service<ComposeQueries, {
  list(tenantId: TenantId, filter: ComposeFilter, page: PageRequest): Effect.Effect<ReadonlyArray<ComposeRow>, QueriesUnavailable>
}>()("projections/ComposeQueries") {}
