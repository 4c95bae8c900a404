/** Lists of any read model: what they are sorted by and filtered by is a value. */
import { Context, type Effect } from "effect"
import type { TenantId } from "../domain/ids.ts"
import type { AggregateKind } from "../domain/recorded.ts"
import type { QueriesUnavailable } from "./compose-queries.ts"
import type { Projection } from "./projection.ts"
import type { Wanted } from "./terms.ts"
import type { UsageBy, UsageQuery, UsageSum } from "./usage.ts"

/** Newest first: downwards by `order`, whose first field is the time that `since` and `until` are about; rows without one are left out. */
export interface Listing<Row extends object, Kind extends AggregateKind = AggregateKind> {
  readonly projection: Projection<Row, Kind>
  readonly order: readonly [keyof Row & string, ...Array<keyof Row & string>]
}

/** All that is given must hold; `until` is not included. */
export interface RowFilter<Row> {
  readonly equal?: { readonly [Field in keyof Row]?: Row[Field] | undefined }
  readonly wanted?: Wanted
  readonly since?: number | undefined
  readonly until?: number | undefined
}

/** `before`: the values of `order` in the last row of the page before. */
export interface RowPage {
  readonly limit: number
  readonly before?: ReadonlyArray<string | number> | undefined
}

/** May be some milliseconds behind the log. */
export class Rows extends Context.Service<Rows, {
  list<Row extends object, Kind extends AggregateKind>(
    tenantId: TenantId, listing: Listing<Row, Kind>, filter: RowFilter<Row>, page: RowPage
  ): Effect.Effect<ReadonlyArray<Row>, QueriesUnavailable>
  /** How many rows of a tenant have these values; no more than `upTo` are counted. */
  count<Row extends object, Kind extends AggregateKind>(
    tenantId: TenantId, projection: Projection<Row, Kind>, equal: NonNullable<RowFilter<Row>["equal"]>, upTo: number
  ): Effect.Effect<number, QueriesUnavailable>
  /** Over all tenants, by their names, of a read model with one row for each; for operators of the installation. */
  tenants<Row extends object, Kind extends AggregateKind>(
    projection: Projection<Row, Kind>, page: { readonly limit: number; readonly after?: string | undefined }
  ): Effect.Effect<ReadonlyArray<Row>, QueriesUnavailable>
  /** Sums of what attempts have used, the latest first. */
  usage(tenantId: TenantId, query: UsageQuery & { readonly by: Exclude<UsageBy, "tenant"> }): Effect.Effect<ReadonlyArray<UsageSum>, QueriesUnavailable>
  /** One for each tenant, by their names; for operators of the installation. */
  usageOfTenants(query: Omit<UsageQuery, "by">): Effect.Effect<ReadonlyArray<UsageSum>, QueriesUnavailable>
}>()("projections/Rows") {}
