/** From slots to workers: what a pool's demand means for who runs its workers. */
import { JobKind } from "../job.ts"
import { type KindDemand, type PoolDemand, wantedSlots } from "./demand.ts"
import type { Instance } from "./instance.ts"
import type { ScalingPolicy } from "./policy.ts"

/** As many workers as the kind that is worst off needs; what workers of others offer is there already. */
export const wantedWorkers = (demand: PoolDemand, policy: ScalingPolicy, instances: ReadonlyArray<Instance>): number =>
  Math.max(0, ...JobKind.literals.map((kind) => {
    const each = policy.slots[kind] ?? 0
    const wanted = demand.kinds[kind]
    return each === 0 || wanted === undefined ? 0 : Math.ceil(Math.max(0, slotsFor(wanted, policy) - slotsOfOthers(demand, kind, instances)) / each)
  }))

const slotsFor = (kind: KindDemand, { targetWaitSeconds }: ScalingPolicy): number =>
  targetWaitSeconds === undefined || kind.meanDurationMs === undefined
    ? kind.wantedSlots
    : wantedSlots({ ...kind, meanDurationMs: kind.meanDurationMs, targetWaitMs: targetWaitSeconds * 1000 })

const slotsOfOthers = ({ workers }: PoolDemand, kind: JobKind, instances: ReadonlyArray<Instance>): number => {
  const ours = new Set(instances.map(({ worker }) => worker))
  return workers.reduce((sum, { draining, slots, worker }) => draining || ours.has(worker) ? sum : sum + (slots[kind] ?? 0), 0)
}
