/** What the scheduler's memory says to those who ask: how full the pools are. */
import { Millis, type PoolId, poolsOf } from "../ids.ts"
import { JobKind } from "../job.ts"
import { type KindDemand, type PoolDemand, wantedSlots, type WorkerDemand } from "../scaling/demand.ts"
import type { FairQueue } from "./fair-queue.ts"
import { load, slotsOf, type Worker } from "./fleet.ts"
import type { Lane } from "./lanes.ts"
import type { Scheduler } from "./scheduler.ts"

export const demandOf = (scheduler: Scheduler, targetWaitMs: number, now: number): ReadonlyArray<PoolDemand> => {
  const pools = new Set<PoolId>([...scheduler.queue.lanes.values()].map(({ pool }) => pool))
  for (const { speaker } of scheduler.fleet.workers()) for (const pool of poolsOf(speaker.scope)) pools.add(pool)
  return [...pools].map((pool) => poolDemand(scheduler, pool, targetWaitMs, now))
}

const poolDemand = (scheduler: Scheduler, pool: PoolId, targetWaitMs: number, now: number): PoolDemand => {
  const workers = [...scheduler.fleet.serving(pool)].filter((worker) => scheduler.fleet.isLive(worker, now))
  const kinds = Object.fromEntries(JobKind.literals.map((kind) =>
    [kind, kindDemand(workers, kind, scheduler.queue, scheduler.queue.lanes.get(`${pool}/${kind}`), targetWaitMs, now)]))
  return { pool, at: Millis.make(now), kinds: kinds as PoolDemand["kinds"], workers: workers.map(workerDemand) }
}

const kindDemand = (workers: ReadonlyArray<Worker>, kind: JobKind, queue: FairQueue, lane: Lane | undefined, targetWaitMs: number, now: number): KindDemand => {
  const busySlots = workers.reduce((sum, worker) => sum + worker.busy[kind], 0)
  const freeSlots = workers.filter(({ heartbeat }) => heartbeat?.draining === false)
    .reduce((sum, worker) => sum + Math.max(0, slotsOf(worker, kind) - worker.busy[kind]), 0)
  const waiting = lane?.waiting ?? 0
  const oldestWaitMs = waiting === 0 ? 0 : Math.max(0, now - queue.oldestQueuedAt(lane!))
  const meanDurationMs = lane?.meanMs
  return {
    waiting, oldestWaitMs, busySlots, freeSlots,
    wantedSlots: wantedSlots({ waiting, busySlots, oldestWaitMs, meanDurationMs: meanDurationMs ?? 0, targetWaitMs }),
    ...(meanDurationMs !== undefined && { meanDurationMs: Math.round(meanDurationMs) })
  }
}

const workerDemand = (worker: Worker): WorkerDemand => ({
  worker: worker.speaker.worker,
  slots: worker.heartbeat!.slots,
  busy: load(worker),
  draining: worker.heartbeat!.draining,
  ...(load(worker) === 0 && { idleSince: Millis.make(worker.idleSince) })
})
