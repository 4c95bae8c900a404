import { Context, type Effect, Schema } from "effect"
import type { ComposeId, TenantId } from "../domain/ids.ts"
import type { ComposeRow, ComposeStatus } from "./compose-history.ts"
import { labelTerm, termOf, type Wanted, wordTerms } from "./terms.ts"

export class QueriesUnavailable extends Schema.TaggedError<QueriesUnavailable>()("QueriesUnavailable", { message: Schema.String }) {}

/** All that is given must hold; times are milliseconds since 1970, `until` not included. */
export interface ComposeFilter {
  readonly status?: ComposeStatus
  readonly distribution?: string
  readonly requestedBy?: string
  /** Of one of its images. */
  readonly imageType?: string
  readonly architecture?: string
  /** Where one of its images goes. */
  readonly target?: string
  /** It was made from, and from which version of it. */
  readonly blueprint?: string
  readonly blueprintVersion?: number
  /** Each `name` or `name=value`. */
  readonly labels?: ReadonlyArray<string>
  readonly since?: number
  readonly until?: number
  /** Every word of it must begin a word, in any case, of id, name, labels, distribution or failure. */
  readonly search?: string
}

/** Newest first; `before` is the last row of the page before. */
export interface PageRequest {
  readonly limit: number
  readonly before?: { readonly requestedAt: number; readonly composeId: ComposeId }
}

export type ListedCompose = Omit<ComposeRow, "request" | "terms">

/** The read model behind lists. May be some milliseconds behind the log. */
export class ComposeQueries extends Context.Service<ComposeQueries, {
  list(tenantId: TenantId, filter: ComposeFilter, page: PageRequest): Effect.Effect<ReadonlyArray<ListedCompose>, QueriesUnavailable>
}>()("projections/ComposeQueries") {}

export const wantedOf = (tenantId: TenantId, { architecture, blueprint, blueprintVersion, imageType, labels = [], search = "", target }: ComposeFilter): Wanted => ({
  terms: [
    ...labels.map((label) => labelTerm(tenantId, label)),
    ...(imageType === undefined ? [] : [termOf(tenantId, "type", imageType)]),
    ...(blueprint === undefined ? [] : [termOf(tenantId, "blueprint", blueprintVersion === undefined ? blueprint : `${blueprint}/${blueprintVersion}`)]),
    ...(architecture === undefined ? [] : [termOf(tenantId, "architecture", architecture)]),
    ...(target === undefined ? [] : [termOf(tenantId, "target", target)])
  ],
  beginnings: wordTerms(tenantId, search)
})
