/**
 * What to do about a pool, from what it needs and what there is.
 * No clock, no provider: the same inputs give the same answer.
 */
import type { PoolDemand, WorkerDemand } from "./demand.ts"
import type { Instance } from "./instance.ts"
import { deaf, hear, type Memory, mostWanted, watch } from "./memory.ts"
import type { ScalingPolicy } from "./policy.ts"
import { wantedWorkers } from "./wanted-workers.ts"

export type Step =
  | { readonly _tag: "Grow"; readonly to: number }
  | { readonly _tag: "Remove"; readonly ids: ReadonlyArray<string> }
  | { readonly _tag: "Stay" }

export interface Plan {
  readonly step: Step
  readonly protect: ReadonlyArray<string>
  readonly release: ReadonlyArray<string>
  /** Workers that the pool should have; what `min` says while nobody tells. */
  readonly wanted: number
  /** For the next look; whoever has taken the step adds that by `stepped`. */
  readonly memory: Memory
}

export interface Sight {
  readonly policy: ScalingPolicy
  readonly instances: ReadonlyArray<Instance>
  /** The last word of the scheduler, if there was one. */
  readonly demand: PoolDemand | undefined
  readonly memory: Memory
  readonly now: number
}

const staleAfterMs = 30_000
const stay: Step = { _tag: "Stay" }

export const decide = (sight: Sight): Plan => {
  const { demand, now } = sight
  return demand === undefined || now - demand.at > staleAfterMs ? blind(sight) : sighted({ ...sight, demand })
}

/** Who works and who idles is not known: nobody goes, nobody's protection ends. */
const blind = ({ instances, memory, policy: { min } }: Sight): Plan => ({
  step: present(instances).length < min ? { _tag: "Grow", to: min } : stay,
  protect: [], release: [], wanted: min, memory: deaf(memory)
})

const sighted = ({ demand, instances, memory, now, policy }: Sight & { readonly demand: PoolDemand }): Plan => {
  const crew = crewOf(demand, instances)
  const wanted = clamp(wantedWorkers(demand, policy, instances), policy)
  const known = watch(hear(memory, now, wanted, policy.scaleInAfterSeconds * 1000), now, crew.silent)
  // That the pool has no use for it is known by then from what was wanted; where work is spread, nobody idles for long.
  const rested = crew.idle.filter(({ idleMs }) => idleMs >= policy.cooldownSeconds * 1000)
  return {
    step: stepOf({ crew, known, now, policy, rested, wanted }),
    protect: crew.busy.filter((instance) => instance.protected === false).map(({ id }) => id),
    release: rested.filter(({ instance }) => instance.protected === true).map(({ instance }) => instance.id),
    wanted,
    memory: known
  }
}

interface Idle {
  readonly instance: Instance
  readonly idleMs: number
}

interface Situation {
  readonly crew: Crew
  readonly known: Memory
  readonly now: number
  readonly policy: ScalingPolicy
  readonly rested: ReadonlyArray<Idle>
  readonly wanted: number
}

const stepOf = ({ crew, known, now, policy, rested, wanted }: Situation): Step => {
  const { max, min } = policy
  const here = crew.present.length
  const given = crew.silent.filter(({ id }) => now - known.silentSince.get(id)! >= policy.startWithinSeconds * 1000)
  const useless = crew.leaving.length + given.length
  const rests = known.steppedAt !== undefined && now - known.steppedAt < policy.cooldownSeconds * 1000
  if (here < min) return { _tag: "Grow", to: min }
  if (rests) return stay
  if (here - useless < wanted && here < max) return { _tag: "Grow", to: Math.min(max, wanted + useless) }
  const calm = known.heardSince !== undefined && now - known.heardSince >= policy.scaleInAfterSeconds * 1000
  const surplus = calm ? Math.max(0, here - useless - mostWanted(known)) : 0
  const ids = [...given.map(({ id }) => id), ...longestFirst(rested).slice(0, surplus).map(({ instance }) => instance.id)].slice(0, here - min)
  return ids.length === 0 ? stay : { _tag: "Remove", ids }
}

interface Crew {
  /** All that are not on their way out. */
  readonly present: ReadonlyArray<Instance>
  readonly busy: ReadonlyArray<Instance>
  readonly idle: ReadonlyArray<Idle>
  /** They run, but their worker hands back what it has. */
  readonly leaving: ReadonlyArray<Instance>
  /** They run, but nobody has heard their worker. */
  readonly silent: ReadonlyArray<Instance>
}

const crewOf = (demand: PoolDemand, instances: ReadonlyArray<Instance>): Crew => {
  const workers = new Map(demand.workers.map((worker) => [worker.worker as string, worker]))
  const here = present(instances)
  const those = (holds: (worker: WorkerDemand) => boolean) =>
    here.filter(({ worker }) => workers.has(worker) && holds(workers.get(worker)!))
  return {
    present: here,
    busy: those(({ busy }) => busy > 0),
    idle: those(({ busy, draining, idleSince }) => busy === 0 && !draining && idleSince !== undefined)
      .map((instance) => ({ instance, idleMs: demand.at - workers.get(instance.worker)!.idleSince! })),
    leaving: those(({ draining }) => draining),
    silent: here.filter(({ state, worker }) => state === "running" && !workers.has(worker))
  }
}

const present = (instances: ReadonlyArray<Instance>) => instances.filter(({ state }) => state !== "stopping")
const clamp = (workers: number, { max, min }: ScalingPolicy) => Math.min(max, Math.max(min, workers))
const longestFirst = (idle: ReadonlyArray<Idle>) => idle.toSorted((one, other) => other.idleMs - one.idleMs)
