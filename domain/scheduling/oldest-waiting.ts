/** How long the job has waited that waits longest in a lane, without asking ten thousand tenants one by one. */
import type { TenantId } from "../ids.ts"
import { type Lane, type Line, priorities } from "./lanes.ts"
import type { OpenJob } from "./open-jobs.ts"

/** A job that was queued then waits in the line. */
export const noteAge = (line: Line, queuedAt: number): void => {
  if (queuedAt < line.oldest) setOldest(line, queuedAt)
}

/** Milliseconds since 1970; Infinity if none waits. `wake`: as the fair queue's. */
export const oldestQueuedAt = ({ ages }: Lane, wake: (tenantId: TenantId) => boolean): number => {
  for (;;) {
    const age = ages.peek()
    if (age === undefined) return Infinity
    const { line, queuedAt } = age
    wake(line.turn.tenantId)
    const isVoid = line.oldest !== queuedAt
    const oldest = isVoid ? Infinity : oldestIn(line)
    if (oldest === queuedAt) return queuedAt
    ages.pop()
    if (!isVoid) setOldest(line, oldest)
  }
}

const setOldest = (line: Line, oldest: number): void => {
  line.oldest = oldest
  if (oldest < Infinity) line.lane.ages.push({ line, queuedAt: oldest })
}

/** The first of each priority has waited longest, but for those queued again, which stand where they stood; it may be a little too young. */
const oldestIn = (line: Line): number => {
  let oldest = Infinity
  if (line.waiting === 0) return oldest
  for (const priority of priorities) {
    const waiting: Iterable<OpenJob> = line.jobs[priority]
    for (const { attempt, place, queuedAt } of waiting) {
      if (place !== line) continue
      oldest = Math.min(oldest, queuedAt)
      if (attempt === 1) break
    }
  }
  return oldest
}
