/** Which workers a job keeps to, and which it keeps away from. */
import { canDo, type Worker } from "./fleet.ts"
import type { Need } from "./open-jobs.ts"

/** Whether the worker can do it, and holds the image where that has to be at hand. */
export const suits = (need: Need, worker: Worker): boolean =>
  need.holder === undefined ? canDo(worker, need) : worker.speaker.worker === need.holder.worker && canDo(worker, need)

/** Whether the job wants anybody but this one, if there is somebody. */
export const avoids = (need: Need, worker: Worker): boolean => need.avoid === worker.speaker.worker
