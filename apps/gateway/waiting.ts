/** What queued jobs wait for, as the scheduler says it. */
import { Effect } from "effect"
import type { ComposeId, TenantId } from "../../domain/ids.ts"
import { Scheduling } from "../../domain/ports/scheduling.ts"
import type { JobOutlook } from "../../domain/scheduling/job-outlook.ts"
import { partsOfLimit } from "../../domain/target-limits.ts"
import type { WaitingFor } from "./api/compose-views.ts"
import type { ComposeState } from "./compose-details.ts"

/** Whoever looks at a compose does not wait for a scheduler that is away: it is left out then. */
const patience = "300 millis"

export const outlooks = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId, { compose }: ComposeState) {
  const queued = [...compose.jobs.values()].some(({ state }) => state === "queued")
  if (!queued) return []
  const scheduling = yield* Scheduling
  return yield* scheduling.waiting(tenantId, id).pipe(Effect.timeout(patience), Effect.orElseSucceed((): ReadonlyArray<JobOutlook> => []))
})

export const waitingFor = (outlook: JobOutlook): WaitingFor => {
  const { architecture, atMost, limit, pool, position, reason, running, sets, since, until, worker } = outlook
  return {
    reason, pool, architecture, since: iso(since), message: messageOf(outlook),
    ...(position !== undefined && { position }),
    ...(until !== undefined && { until: iso(until) }),
    ...(worker !== undefined && { worker }),
    ...(sets !== undefined && { credentials: sets }),
    ...(limit !== undefined && { limit }),
    ...(running !== undefined && { running }),
    ...(atMost !== undefined && { at_most: atMost })
  }
}

const messageOf = (outlook: JobOutlook): string => {
  const { pool, reason, until, worker } = outlook
  const place = placeOf(outlook)
  switch (reason) {
    case "worker":
      return workerWanted(outlook)
    case "slots":
      return place
    case "tenant-limit":
      return `${place}, waiting for one of the tenant's running jobs to end`
    case "target-limit":
      return `${place}, ${turnWanted(outlook)}`
    case "holder":
      return `${place}, waiting for worker ${worker}, which holds the image`
    case "retry":
      return `tries again at ${iso(until!)} in pool ${pool}`
    case "assigned":
      return `given to worker ${worker} of pool ${pool}`
  }
}

const turnWanted = ({ atMost, limit = "", running = 0, until }: JobOutlook): string => {
  const { place, set, type } = partsOfLimit(limit)
  const account = `to ${type}${place === "" ? "" : ` ${place}`}${set === "" ? "" : ` with the credentials ${set}`}`
  return atMost !== undefined && running >= atMost
    ? `waiting for a delivery ${account} to end: ${running} of at most ${atMost} run`
    : `waiting until ${iso(until!)}, when the next delivery ${account} may begin`
}

const placeOf = ({ pool, position }: JobOutlook) => position === undefined ? `in pool ${pool}` : `position ${position} in pool ${pool}`

/** Whoever uploads or tests need not be able to make the image. */
const workerWanted = ({ architecture, distribution, imageType, kind, pool, sets, since }: JobOutlook): string => {
  const given = sets === undefined ? "" : `has the credentials ${sets.join(", ")} `
  return kind === "upload" || kind === "test" || kind === "delete"
    ? `waiting for a worker that ${kind}s ${given === "" ? "" : `and ${given}`}in pool ${pool} since ${iso(since)}`
    : `waiting for a worker of ${architecture} ${given === "" ? "" : `that ${given}`}in pool ${pool} since ${iso(since)}, to ${kind} ${distribution} ${imageType}`
}

const iso = (millis: number) => new Date(millis).toISOString()
