/** What a pool's queues ask of its workers. The scheduler says it once a second; scalers act on it, people look at it. */
import { Schema } from "effect"
import { Millis, PoolId, WorkerId } from "../ids.ts"
import { forEachKind, Slots } from "../job.ts"

export const KindDemand = Schema.Struct({
  waiting: Schema.Int,
  /** 0 where nothing waits. */
  oldestWaitMs: Schema.Int,
  busySlots: Schema.Int,
  /** Of workers that take new work. */
  freeSlots: Schema.Int,
  wantedSlots: Schema.Int,
  /** Of the attempts that ended lately; a scaler with a target of its own counts with it. */
  meanDurationMs: Schema.optionalKey(Schema.Int)
})
export type KindDemand = typeof KindDemand.Type

export const WorkerDemand = Schema.Struct({
  worker: WorkerId,
  slots: Slots,
  /** Jobs of all kinds in its hands. */
  busy: Schema.Int,
  draining: Schema.Boolean,
  /** Since when it has had nothing to do; absent while it works. */
  idleSince: Schema.optionalKey(Millis)
})
export type WorkerDemand = typeof WorkerDemand.Type

export const PoolDemand = Schema.Struct({
  pool: PoolId,
  at: Millis,
  kinds: forEachKind(KindDemand),
  workers: Schema.Array(WorkerDemand)
})
export type PoolDemand = typeof PoolDemand.Type

export interface Load {
  readonly waiting: number
  readonly busySlots: number
  readonly oldestWaitMs: number
  /** 0 or less where nobody knows: then every waiting job is thought to need a slot of its own. */
  readonly meanDurationMs: number
  readonly targetWaitMs: number
}

/**
 * How many slots a kind should have so that the oldest job waits no longer than the target.
 *
 * In the time that is left to the oldest, n slots begin n - busy jobs at once and n more every mean duration; that has to
 * reach all that wait. What is busy now is load that keeps coming, so never fewer than that.
 */
export const wantedSlots = ({ waiting, busySlots, oldestWaitMs, meanDurationMs, targetWaitMs }: Load): number => {
  if (waiting <= 0) return Math.max(0, busySlots)
  const left = Math.max(0, targetWaitMs - oldestWaitMs)
  const turns = meanDurationMs > 0 ? left / meanDurationMs : 0
  return Math.max(busySlots, Math.ceil((waiting + busySlots) / (1 + turns)))
}
