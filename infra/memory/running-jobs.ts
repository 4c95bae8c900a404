import { Effect, Layer } from "effect"
import { jobAttempts } from "../../projections/job-attempts.ts"
import { RunningJobs } from "../../projections/running-jobs.ts"
import { rowsInMemory } from "./rows.ts"

export const RunningJobsInMemory = Layer.effect(RunningJobs, Effect.gen(function*() {
  const rows = yield* rowsInMemory
  return RunningJobs.of({
    count: (tenantId, at) => Effect.map(rows(jobAttempts, tenantId), (all) =>
      all.filter(({ endedAt, startedAt, status }) =>
        at === undefined ? status === "running" : startedAt !== null && startedAt <= at && (endedAt === null || endedAt > at)).length)
  })
}))
