import { Context, type Effect } from "effect"
import type { TenantId } from "../domain/ids.ts"
import type { QueriesUnavailable } from "./compose-queries.ts"

/** Counted in the read models; may be some milliseconds behind the log. */
export class RunningJobs extends Context.Service<RunningJobs, {
  /** Now, or at a moment of the past. */
  count(tenantId: TenantId, at?: number): Effect.Effect<number, QueriesUnavailable>
}>()("projections/RunningJobs") {}
