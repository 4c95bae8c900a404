import { Effect, Layer } from "effect"
import { RunningJobs } from "../../projections/running-jobs.ts"
import { type Reading, TenantRows } from "./tenant-rows.ts"

/** By way of the running composes, of which there are few; both tables have an index for that. */
export const RunningJobsPostgres = Layer.effect(RunningJobs, Effect.gen(function*() {
  const { read } = yield* TenantRows
  return RunningJobs.of({
    count: (tenantId, at) =>
      Effect.map(
        read(tenantId, (sql) => at !== undefined ? startedBy(sql, at) : sql<Array<{ count: number }>>`
          select count(*)::int as count from kiln_read.composes c join kiln_read.jobs j using (tenant_id, compose_id)
          where c.status = 'running' and j.status = 'running'`),
        ([row]) => row?.count ?? 0)
  })
}))

const startedBy = (sql: Reading, at: number) => sql<Array<{ count: number }>>`
  select count(*)::int as count from kiln_read.jobs where started_at <= ${at} and (ended_at is null or ended_at > ${at})`
