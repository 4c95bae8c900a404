/** Free slots are filled in turn: one job a worker, until nobody that has room can do what waits. */
import type { PoolId } from "../ids.ts"
import type { Speaker } from "../work.ts"
import type { FairQueue } from "./fair-queue.ts"
import { canDo, type Fleet, slotsOf, type Worker } from "./fleet.ts"
import type { Lane } from "./lanes.ts"
import type { Need, OpenJob } from "./open-jobs.ts"

interface Slots {
  readonly fleet: Fleet
  readonly queue: FairQueue
  /** Gives the job to the worker, so that it is busy from then on. */
  readonly assign: (job: OpenJob, speaker: Speaker) => void
}

/** Jobs that take less than this are laid on a worker's queue ahead of its slots, so that it never waits for us. */
const shortMs = 500

export const fillSlots = (slots: Slots, now: number): void => {
  for (const lane of slots.queue.lanes.values()) {
    while (lane.waiting > 0 && fillOnce(slots, lane, now));
  }
}

/** One job for each worker that has room; whether there was any. */
const fillOnce = ({ assign, fleet, queue }: Slots, lane: Lane, now: number): boolean => {
  let found = false
  // A copy: who gets a job goes to the end of the turn.
  for (const worker of Array.from(fleet.serving(lane.pool))) {
    if (worker.busy[lane.kind] >= roomOf(fleet, worker, lane, now)) continue
    const job = queue.take(lane, worker, (need) => hasOther(fleet, lane.pool, need, worker, now))
    if (job === undefined) continue
    assign(job, worker.speaker)
    found = true
  }
  return found
}

/** Whether anybody but this one can do it, now or once there is room. */
const hasOther = (fleet: Fleet, pool: PoolId, need: Need, worker: Worker, now: number): boolean => {
  for (const other of fleet.serving(pool)) {
    if (other.speaker.worker !== worker.speaker.worker && fleet.isOpen(other, now) && canDo(other, need)) return true
  }
  return false
}

const roomOf = (fleet: Fleet, worker: Worker, lane: Lane, now: number): number => {
  if (!fleet.isOpen(worker, now)) return 0
  const slots = slotsOf(worker, lane.kind)
  return (lane.meanMs ?? Infinity) < shortMs ? slots + Math.ceil(slots / 4) : slots
}
