import { Effect, Layer } from "effect"
import { QueriesUnavailable } from "../../projections/compose-queries.ts"
import { RunningJobs } from "../../projections/running-jobs.ts"
import { Sql } from "./sql.ts"

/** By way of the running composes, of which there are few; both tables have an index for that. */
export const RunningJobsPostgres = Layer.effect(RunningJobs, Effect.gen(function*() {
  const { run } = yield* Sql
  return RunningJobs.of({
    count: (tenantId) =>
      run((sql) => sql<Array<{ count: number }>>`
        select count(*)::int as count from kiln.composes c join kiln.jobs j using (tenant_id, compose_id)
        where c.tenant_id = ${tenantId} and c.status = 'running' and j.status = 'running'`).pipe(
          Effect.map(([row]) => row?.count ?? 0),
          Effect.mapError(({ code, message }) =>
            new QueriesUnavailable({ message: code === "42P01" ? "the read model has not been built yet" : `Postgres: ${message}` })))
  })
}))
