import { Effect, Layer, Stream } from "effect"
import { EventLog } from "../../domain/ports/event-log.ts"
import { QueriesUnavailable } from "../../projections/compose-queries.ts"
import { jobAttempts } from "../../projections/job-attempts.ts"
import { project } from "../../projections/projection.ts"
import { RunningJobs } from "../../projections/running-jobs.ts"

/** The whole log folded for every question. */
export const RunningJobsInMemory = Layer.effect(RunningJobs, Effect.gen(function*() {
  const log = yield* EventLog
  return RunningJobs.of({
    count: Effect.fnUntraced(
      function*(tenantId) {
        let count = 0
        for (const stream of log.streams) {
          const entries = yield* log.follow(stream, 0).pipe(Stream.take(yield* log.head(stream)), Stream.runCollect)
          const composes = entries.filter((entry) => entry._tag === "Recorded" && entry.aggregate === "compose")
          count += [...project(jobAttempts, composes).values()].filter((row) => row.tenantId === tenantId && row.status === "running").length
        }
        return count
      },
      Effect.mapError(({ message }) => new QueriesUnavailable({ message }))
    )
  })
}))
