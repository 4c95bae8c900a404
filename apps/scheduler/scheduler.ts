/** Follows the log, fills the queues, takes in what workers report. One instance works; others wait for its lease. */
import { Effect, Metric, Option, Schedule, Semaphore, Stream } from "effect"
import type { PoolId, TenantId } from "../../domain/ids.ts"
import { EventLog } from "../../domain/ports/event-log.ts"
import { type Held, Leases } from "../../domain/ports/lease.ts"
import { Sealer } from "../../domain/ports/sealer.ts"
import { Snapshots } from "../../domain/ports/snapshots.ts"
import { Dispatch, type ReportDelivery } from "../../domain/ports/work.ts"
import { type RunningJob, Scheduler } from "../../domain/scheduling/scheduler.ts"
import { dispatchJob } from "./dispatch-job.ts"
import { keyedSerial } from "./keyed-serial.ts"
import { dispatched, lostJobs, openJobs, reported, unreadable, workers } from "./metrics.ts"
import { secretsFor } from "./secrets.ts"
import { decodeSnapshot, encodeSnapshot } from "./snapshot.ts"
import { loseJob, takeReport } from "./take-report.ts"

export interface SchedulerOptions {
  /** Names this installation's scheduler: after a crash it gets its lease back at once. */
  readonly instance: string
  readonly poolOf: (tenantId: TenantId) => PoolId
  readonly lostAfterMs: number
  readonly onReady?: Effect.Effect<void>
}

const snapshotName = "scheduler"
const snapshotEvery = "30 seconds"
const recoverAfterMs = 30_000

/** Works until the lease is lost. */
export const runScheduler = Effect.fn("runScheduler")(function*(options: SchedulerOptions) {
  const leases = yield* Leases
  const lease = yield* leases.acquire("scheduler", options.instance)
  yield* Effect.logInfo("scheduling", { fence: lease.fence })
  return yield* Effect.raceFirst(schedule(options, lease), lease.lost)
}, Effect.scoped)

const schedule = Effect.fn("schedule")(function*({ poolOf, lostAfterMs, onReady = Effect.void }: SchedulerOptions, { isHeld }: Held) {
  const log = yield* EventLog
  const dispatch = yield* Dispatch
  const snapshots = yield* Snapshots
  const scheduler = new Scheduler({ poolOf, lostAfterMs, now: Date.now() })

  const saved = Option.getOrUndefined(Option.flatMap(
    Option.fromUndefinedOr(yield* snapshots.load(snapshotName).pipe(Effect.catch(() => Effect.succeed(undefined)))), decodeSnapshot))
  const positions: Record<string, number> = { ...saved?.positions }
  scheduler.restore(saved?.jobs ?? [], yield* dispatch.waiting, Date.now())

  const catchingUp = new Set(log.streams)
  const puts = yield* Semaphore.make(64)
  const scope = yield* Effect.scope
  const context = yield* Effect.context<EventLog | Sealer>()

  /** Synchronous up to the fork, so no two pumps see the same free slot. */
  const pump = Effect.suspend(() =>
    catchingUp.size > 0 || !isHeld() ? Effect.void : Effect.forEach(scheduler.due(Date.now()), ({ pool, job }) =>
      dispatchJob(pool, job).pipe(
        Effect.tap(Metric.update(dispatched, 1)),
        Effect.catchCause((cause) =>
          Effect.logWarning("a job could not be dispatched and will be again", { composeId: job.composeId, jobId: job.jobId }, cause).pipe(
            Effect.andThen(Effect.sleep("1 second")),
            Effect.andThen(Effect.sync(() => scheduler.putBack(job, Date.now())))
          )),
        puts.withPermits(1),
        Effect.forkIn(scope)
      ), { discard: true })
  )

  const stop = ({ tenantId, composeId, jobId, attempt, token, worker }: RunningJob) =>
    dispatch.stop({ pool: poolOf(tenantId), worker }, { tenantId, composeId, jobId, attempt, token })

  const followStream = (stream: string) =>
    Effect.gen(function*() {
      const head = yield* log.head(stream)
      const caughtUp = Effect.suspend(() => {
        if ((positions[stream] ?? 0) < head || !catchingUp.delete(stream)) return Effect.void
        return catchingUp.size === 0 ? Effect.andThen(onReady, dispatch.rollCall) : Effect.void
      })
      yield* caughtUp
      yield* log.follow(stream, positions[stream] ?? 0).pipe(
        Stream.runForEach((entry) =>
          Effect.gen(function*() {
            positions[stream] = entry.position.sequence
            if (entry._tag === "Unreadable") {
              yield* Metric.update(unreadable, 1)
              yield* Effect.logError("an entry of the log cannot be read and was passed over", { ...entry.position, reason: entry.reason })
            } else {
              yield* Effect.forEach(scheduler.record(entry, Date.now()), stop, { discard: true })
            }
            yield* caughtUp
            yield* pump
          }))
      )
    }).pipe(
      Effect.tapError((error) => Effect.logWarning(error.message)),
      Effect.retry(Schedule.spaced("1 second"))
    )

  const takeIn = ({ report, acknowledge, again, pool, worker }: ReportDelivery) => {
    const speaker = { pool, worker }
    const later = (error: { readonly message: string }) => Effect.andThen(Effect.logWarning("a report waits", { error: error.message }), again)
    const lost = (jobs: ReadonlyArray<RunningJob>, reason: string) =>
      Effect.forEach(jobs, (job) => Effect.catchTag(loseJob(job, reason), "ComposeRejected", () => Effect.void), { discard: true, concurrency: 16 })
    if (report._tag === "SessionBegan") {
      return lost(scheduler.orphans(speaker, report.session), `worker ${worker} was restarted`).pipe(Effect.andThen(acknowledge), Effect.catch(later))
    }
    const { claim } = report
    const taken = scheduler.serves(speaker, claim.tenantId)
      ? takeReport(speaker, report).pipe(Effect.as(true), Effect.catchTag("ComposeRejected", () => Effect.succeed(false)))
      : Effect.succeed(false)
    return taken.pipe(
      Effect.flatMap((current) => current ? Effect.void : dispatch.stop(speaker, claim)),
      Effect.andThen(acknowledge),
      Effect.tap(Metric.update(reported, 1)),
      Effect.catch(later)
    )
  }

  const serial = keyedSerial<string>()
  const reports = dispatch.reports.pipe(
    Stream.mapEffect((delivery) => {
      const { report } = delivery
      const key = report._tag === "SessionBegan" ? `worker/${delivery.worker}` : report.claim.composeId
      return serial(key, Effect.catchCause(takeIn(delivery), (cause) => Effect.logError("a report could not be taken in", cause)))
    }, { concurrency: 64, unordered: true }),
    Stream.runDrain,
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Effect.retry(Schedule.spaced("1 second"))
  )

  const heartbeats = dispatch.heartbeats.pipe(
    Stream.runForEach(({ heartbeat, pool, worker }) => {
      scheduler.hear({ pool, worker }, heartbeat, Date.now())
      return pump
    }),
    Effect.tapError((error) => Effect.logWarning(error.message)),
    Effect.retry(Schedule.spaced("1 second"))
  )

  const loseSilent = Effect.suspend(() =>
    Effect.forEach(scheduler.lost(Date.now()), (job) =>
      Effect.catchCause(Effect.andThen(Metric.update(lostJobs, 1), loseJob(job, `no word from worker ${job.worker} for ${lostAfterMs / 1000} s`)), (cause) => Effect.logWarning("a lost job waits", cause)),
    { discard: true, concurrency: 16 })
  ).pipe(Effect.delay("1 second"), Effect.forever)

  const recover = dispatch.waiting.pipe(
    Effect.map((waiting) => scheduler.recover(waiting, Date.now() - recoverAfterMs, Date.now())),
    Effect.flatMap((count) => count > 0 ? Effect.logWarning("stranded jobs are dispatched again", { count }) : Effect.void),
    Effect.catch((error) => Effect.logWarning(error.message)),
    Effect.delay("10 seconds"),
    Effect.forever
  )

  let savedAt = ""
  const save = Effect.suspend(() => {
    const at = JSON.stringify(positions)
    if (at === savedAt || catchingUp.size > 0 || !isHeld()) return Effect.void
    const text = encodeSnapshot({ version: 1, positions: { ...positions }, jobs: [...scheduler.jobs.values()] })
    return Effect.andThen(snapshots.save(snapshotName, text), Effect.sync(() => savedAt = at))
  }).pipe(Effect.catch((error) => Effect.logWarning(error.message)))

  yield* Effect.addFinalizer(() => save)
  const measure = Effect.suspend(() => Effect.andThen(Metric.update(openJobs, scheduler.jobs.size), Metric.update(workers, scheduler.fleet.size)))
  const ticks = Effect.andThen(pump, measure).pipe(Effect.delay("100 millis"), Effect.forever)
  return yield* Effect.all([
    ...log.streams.map(followStream),
    reports, heartbeats, loseSilent, recover, ticks,
    save.pipe(Effect.delay(snapshotEvery), Effect.forever),
    dispatch.serveSecrets((speaker, claim) => Effect.provideContext(secretsFor(speaker, claim), context))
  ], { concurrency: "unbounded", discard: true }).pipe(Effect.andThen(Effect.never))
}, Effect.scoped)
