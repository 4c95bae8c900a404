/** Which sets of credentials neither the tenant has nor the worker that a job was given to, which could do nothing but say so. */
import { Effect } from "effect"
import { type Fleet, hasSets } from "../../domain/scheduling/fleet.ts"
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"
import type { Speaker } from "../../domain/work.ts"
import { credentialSetsOf } from "../credentials.ts"

export const lackedSets = Effect.fnUntraced(function*(fleet: Fleet, { need: { sets = [] }, tenantId }: OpenJob, speaker: Speaker) {
  const worker = fleet.get(speaker)
  const missing = sets.filter((name) => worker === undefined || !hasSets(worker, { tenantId, sets: [name] }))
  if (missing.length === 0) return missing
  const stored = yield* credentialSetsOf(tenantId)
  return missing.filter((name) => !stored.has(name))
})
