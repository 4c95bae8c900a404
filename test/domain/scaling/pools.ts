/** Pools as scalers see them, in few words. */
import { Millis, PoolId, WorkerId } from "../../../domain/ids.ts"
import { decide, type Plan } from "../../../domain/scaling/decide.ts"
import type { KindDemand, PoolDemand, WorkerDemand } from "../../../domain/scaling/demand.ts"
import type { Instance } from "../../../domain/scaling/instance.ts"
import { type Memory, nothingKnown } from "../../../domain/scaling/memory.ts"
import type { ScalingPolicy } from "../../../domain/scaling/policy.ts"

export const second = 1000
export const minute = 60 * second
/** Long after whatever the tests remember. */
export const start = 1_790_000_000_000

export const policy: ScalingPolicy = {
  min: 0, max: 10, slots: { resolve: 2, build: 1, upload: 4 }, scaleInAfterSeconds: 600, cooldownSeconds: 60, startWithinSeconds: 900
}

const quiet: KindDemand = { waiting: 0, oldestWaitMs: 0, busySlots: 0, freeSlots: 0, wantedSlots: 0 }

export const demandOf = (wantedBuilds: number, workers: ReadonlyArray<WorkerDemand> = [], at = start, more: Partial<PoolDemand["kinds"]> = {}): PoolDemand => ({
  pool: PoolId.make("default"), at: Millis.make(at), workers,
  kinds: { resolve: quiet, build: { ...quiet, wantedSlots: wantedBuilds }, upload: quiet, ...more }
})

export const wanting = (wantedSlots: number, more: Partial<KindDemand> = {}): KindDemand => ({ ...quiet, wantedSlots, ...more })

const worker = (name: string, more: Partial<WorkerDemand>): WorkerDemand =>
  ({ worker: WorkerId.make(name), slots: policy.slots, busy: 0, draining: false, ...more })

export const busy = (name: string) => worker(name, { busy: 1 })
export const idle = (name: string, forMs: number, at = start) => worker(name, { idleSince: Millis.make(at - forMs) })
export const leaving = (name: string) => worker(name, { draining: true, busy: 1 })

export const running = (id: string, more: Partial<Instance> = {}): Instance => ({ id, worker: id, state: "running", ...more })

/** A scaler that has heard for long that nothing was wanted. */
export const calm: Memory = { ...nothingKnown, heardSince: start - 60 * minute }

export interface Given {
  readonly policy?: Partial<ScalingPolicy>
  readonly instances?: ReadonlyArray<Instance>
  readonly memory?: Memory
  readonly now?: number
}

/** given(what there is).when(demand) answers with the plan. */
export const given = ({ instances = [], memory = calm, now = start, ...given }: Given) => ({
  when: (demand: PoolDemand | undefined): Plan => decide({ policy: { ...policy, ...given.policy }, instances, memory, now, demand })
})
