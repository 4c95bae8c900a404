/** How often a job was given to a worker that then neither began it nor said that it had: a job that kills its worker is one. */
import type { OpenJob } from "../../domain/scheduling/open-jobs.ts"
import type { Desk } from "./desk.ts"

/** So often, and the job is given up. */
export const timesShunned = 5
const jobsKept = 10_000

export class Shunned {
  readonly #times = new Map<string, number>()

  /** No refusal: a worker that is leaving, or one that says it runs the job, whose start cannot be recorded for a while. */
  count({ scheduler: { fleet } }: Desk, { attempt, composeId, jobId, speaker }: OpenJob): number {
    const { draining = false, running = [] } = fleet.get(speaker!)?.heartbeat ?? {}
    const isBegun = running.some((claim) => claim.composeId === composeId && claim.jobId === jobId && claim.attempt === attempt)
    if (draining || isBegun) return 0
    const name = `${composeId}/${jobId}/${attempt}`
    const times = (this.#times.get(name) ?? 0) + 1
    if (this.#times.size >= jobsKept) this.#times.clear()
    this.#times.set(name, times)
    return times
  }
}
