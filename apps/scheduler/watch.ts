/** Looks after what nobody reports: workers that fall silent, jobs that lie on queues nobody serves, attempts without an end. */
import { Effect, Metric } from "effect"
import { isLive } from "../../domain/compose-state.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import type { OpenJob, RunningJob } from "../../domain/scheduling/open-jobs.ts"
import type { Desk } from "./desk.ts"
import { loseAll } from "./hear.ts"
import { overdueJobs } from "./metrics.ts"
import { park } from "../park.ts"
import { readCompose } from "../read-compose.ts"
import { Shunned, timesShunned } from "./shunned.ts"
import { failJob, giveUpJob } from "./take-reports.ts"

const usualBeginWithinMs = 15_000

export const watch = (desk: Desk, beginWithinMs = usualBeginWithinMs) => {
  const shunned = new Shunned()
  return Effect.all([
    every("1 second", Effect.suspend(() => loseAll(desk, desk.scheduler.lost(Date.now())))),
    every("1 second", Effect.suspend(() => Effect.forEach(desk.scheduler.overdue(Date.now()), (job) => endOverdue(desk, job), { discard: true }))),
    every("1 second", Effect.suspend(() => clearDeserted(desk, shunned, Date.now() - beginWithinMs))),
    every("5 seconds", Effect.sync(() => desk.scheduler.rehome(Date.now()))),
    every("10 seconds", Effect.suspend(() => recover(desk, Date.now() - beginWithinMs))),
    every("1 minute", Effect.suspend(() => dismissGone(desk)))
  ], { concurrency: "unbounded", discard: true })
}

const every = <E, R>(interval: "1 second" | "5 seconds" | "10 seconds" | "1 minute", effect: Effect.Effect<unknown, E, R>) =>
  effect.pipe(Effect.catchCause((cause) => Effect.logWarning("will be tried again", cause)), Effect.delay(interval), Effect.forever)

const endOverdue = Effect.fnUntraced(function*(desk: Desk, job: RunningJob) {
  const { attempt, composeId, jobId, since, speaker, tenantId, token } = job
  yield* Metric.update(overdueJobs, 1)
  yield* failJob(desk.cache, job, { class: "timeout", message: `not done after ${Math.round((Date.now() - since) / 60_000)} minutes` })
  yield* (yield* Dispatch).stop(speaker, { tenantId, composeId, jobId, attempt, token })
})

/** Taken off first: what is given to somebody else must not lie here, too. */
const clearDeserted = Effect.fnUntraced(function*(desk: Desk, shunned: Shunned, before: number) {
  const dispatch = yield* Dispatch
  const deserted = desk.scheduler.deserted(before, Date.now())
  if (deserted.length === 0) return
  yield* dispatch.withdraw(deserted.flatMap(({ sequence }) => sequence === 0 ? [] : [sequence]))
  for (const job of deserted) {
    if (yield* recalled(desk, job)) continue
    if (shunned.count(desk, job) >= timesShunned) yield* parkJob(desk, job)
    desk.scheduler.putBack(job, Date.now())
  }
})

/**
 * Nobody begins what the log does not have as queued. Whatever the scheduler has missed of such a job, in a snapshot or
 * behind a server that was killed, it takes in now; else it would give the job out for ever. Whether it had missed anything.
 */
const recalled = Effect.fnUntraced(function*({ cache, scheduler }: Desk, { attempt, composeId, jobId, tenantId }: OpenJob) {
  const { compose, recorded } = yield* readCompose(tenantId, composeId)
  const job = compose.jobs.get(jobId)
  if (job !== undefined && isLive(compose, job) && job.state === "queued" && job.attempt === attempt) return false
  yield* Effect.logWarning("the log has more of a job than the scheduler knew", { tenantId, composeId, jobId, attempt, state: job?.state })
  cache.forget(composeId)
  for (const entry of recorded) scheduler.record(entry, Date.now())
  return true
})

/** If it cannot be given up now, it comes here again. */
const parkJob = Effect.fnUntraced(function*(desk: Desk, job: OpenJob) {
  const { composeId, jobId, tenantId } = job
  const reason = `it was given to workers ${timesShunned} times and never begun`
  yield* giveUpJob(desk.cache, job, reason)
  yield* park({ what: "job", by: "scheduler", where: `${composeId}/${jobId}`, reason, tenantId, composeId })
})

const recover = Effect.fnUntraced(function*(desk: Desk, before: number) {
  const lying = yield* (yield* Dispatch).lying
  const count = desk.scheduler.recover(lying, before, Date.now())
  if (count > 0) yield* Effect.logWarning("stranded jobs are dispatched again", { count })
})

const dismissGone = Effect.fnUntraced(function*(desk: Desk) {
  const dispatch = yield* Dispatch
  yield* Effect.forEach(desk.scheduler.fleet.forget(Date.now()), (speaker) => dispatch.dismiss(speaker), { discard: true })
})
