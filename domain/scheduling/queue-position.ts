/** How far a waiting job is from its slot, told to those who wait for it. */
import type { TenantId } from "../ids.ts"
import { type Line, lineOf, priorities } from "./lanes.ts"
import type { OpenJob } from "./open-jobs.ts"

/** How many jobs go before this one if nothing changes, itself included; undefined if it does not wait for a slot. */
export const positionOf = (job: OpenJob, weightOf: (tenantId: TenantId) => number): number | undefined => {
  const line = lineOf(job)
  if (line === undefined) return undefined
  const ahead = aheadInLine(job, line)
  const until = Math.max(line.turn.time, line.time) + ahead / weightOf(line.turn.tenantId)
  let before = ahead
  for (const other of line.queue.lines.values()) {
    if (other === line || other.waiting === 0) continue
    const rounds = (until - Math.max(other.turn.time, other.time)) * weightOf(other.turn.tenantId)
    // A tie goes to whoever stands first now.
    before += Math.min(other.waiting, Math.max(0, other.order < line.order ? Math.floor(rounds + 1) : Math.ceil(rounds)))
  }
  return before + 1
}

const aheadInLine = (job: OpenJob, line: Line): number => {
  let ahead = 0
  for (const priority of priorities) {
    const waiting: Iterable<OpenJob> = line.jobs[priority]
    for (const other of waiting) {
      if (other === job) break
      if (other.place === line) ahead += 1
    }
    if (priority === job.priority) break
  }
  return ahead
}
