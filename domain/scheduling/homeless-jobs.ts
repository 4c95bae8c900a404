/** Jobs that wait in vain for the worker that holds their image. */
import { PoolScope } from "../ids.ts"
import type { FairQueue } from "./fair-queue.ts"
import { canDo, type Fleet, type Worker } from "./fleet.ts"
import { type Lane, type NeedQueue, priorities } from "./lanes.ts"
import type { OpenJob } from "./open-jobs.ts"

/** After so long a live worker has said what it holds: an image that it does not list is not there. */
const tellsWithinMs = 120_000

export const homelessJobs = (fleet: Fleet, queue: FairQueue, now: number): ReadonlyArray<OpenJob> => {
  const homeless: Array<OpenJob> = []
  for (const lane of queue.lanes.values()) {
    for (const needQueue of lane.queues.values()) addHomeless(homeless, fleet, lane, needQueue, now)
  }
  return homeless.filter((job) => queue.has(job))
}

const addHomeless = (homeless: Array<OpenJob>, fleet: Fleet, { pool }: Lane, { lines, need: { holder } }: NeedQueue, now: number): void => {
  if (holder === undefined) return
  const worker = fleet.named(pool, holder.worker)
  const isGone = fleet.isLost(worker?.speaker ?? { scope: PoolScope.make(pool), worker: holder.worker }, now)
  for (const { jobs } of lines.values()) {
    for (const priority of priorities) {
      for (const job of jobs[priority]) if (isGone || (worker !== undefined && isForsaken(job, worker, now))) homeless.push(job)
    }
  }
}

/** Its holder is there, and does not have the image any more, or never can do what is asked. */
const isForsaken = ({ need, queuedAt }: OpenJob, worker: Worker, now: number): boolean => {
  if (now - queuedAt <= tellsWithinMs) return false
  return !canDo(worker, need) || (need.holder !== undefined && !worker.held.has(need.holder.digest))
}
