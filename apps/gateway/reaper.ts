/** The handlers of what crashes left behind in clouds. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import type { Leftover, ReaperReport } from "../../domain/scheduling/reaper-report.ts"
import { KilnApi } from "./api/kiln-api.ts"
import type { LeftoverView, ReaperView } from "./api/reaper-api.ts"
import { time } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { orUnavailable } from "./find-compose.ts"
import { operator } from "./operators.ts"

export const ReaperLive = HttpApiBuilder.group(KilnApi, "reaper", Effect.fnUntraced(function*(handlers) {
  const scheduling = yield* Scheduling
  const { operatorTenant } = yield* GatewayConfig
  const allowed = operator(operatorTenant)
  return handlers.handleAll({
    seen: () => Effect.andThen(allowed, Effect.map(orUnavailable(scheduling.reaper()), view)),
    sweep: ({ payload: { dry_run: dryRun = false, tenant } }) =>
      Effect.andThen(allowed, Effect.map(orUnavailable(scheduling.reaper({ dryRun, ...(tenant !== undefined && { tenantId: tenant }) })), view))
  })
}))

const view = ({ at, dryRun, leftovers, more, places, running }: ReaperReport): ReaperView => ({
  running, ...(at !== undefined && { swept_at: time(at) }), ...(dryRun !== undefined && { dry_run: dryRun }),
  places: places.map(({ tenantId, ...place }) => ({ tenant: tenantId, ...place })), leftovers: leftovers.map(leftoverView), more
})

const leftoverView = ({ composeId, jobId, madeAt, notedAt, problem, resource, tenantId, type, verdict }: Leftover): LeftoverView => ({
  tenant: tenantId, compose: composeId, job: jobId, type, resource, status: verdict,
  ...(madeAt !== undefined && { made_at: time(madeAt) }), ...(notedAt !== undefined && { noted_at: time(notedAt) }), ...(problem !== undefined && { problem })
})
