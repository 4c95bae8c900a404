/** Follows the log, lays jobs on workers' queues, takes in what they report. One instance works; others wait for its lease. */
import { Effect, Latch, Metric, Schedule, Semaphore } from "effect"
import type { Digest, WorkerId } from "../../domain/ids.ts"
import type { Attester } from "../../domain/ports/attester.ts"
import type { Blobs } from "../../domain/ports/blobs.ts"
import { Demand } from "../../domain/ports/demand.ts"
import type { EventLog } from "../../domain/ports/event-log.ts"
import { type Held, Leases } from "../../domain/ports/lease.ts"
import type { StoredFiles } from "../../domain/ports/stored-files.ts"
import type { Sealer } from "../../domain/ports/sealer.ts"
import { SchedulingAnswers } from "../../domain/ports/scheduling.ts"
import { Snapshots } from "../../domain/ports/snapshots.ts"
import { Dispatch } from "../../domain/ports/work.ts"
import { discardOf } from "../../domain/scheduling/discard.ts"
import { waitingOf } from "../../domain/scheduling/job-outlook.ts"
import { demandOf } from "../../domain/scheduling/outlook.ts"
import { expiredCopyOf } from "../../domain/scheduling/expired-copy.ts"
import { policyOf } from "../../domain/policy.ts"
import { usualRetention } from "../../domain/retention.ts"
import type { Assignment } from "../../domain/scheduling/scheduler.ts"
import { workersOf } from "../../domain/scheduling/worker-outlook.ts"
import { AccountsLive } from "../accounts.ts"
import { builderIdOf } from "../signed-provenance.ts"
import { documentsFor } from "./attest.ts"
import { copiesKeeper } from "./keep-copies.ts"
import { pipelinesKeeper } from "./pipelines.ts"
import { lackedSets } from "./lacked-sets.ts"
import { measureDemand } from "./demand-metrics.ts"
import { Desk, type DeskOptions } from "./desk.ts"
import { dispatchJob } from "./dispatch-job.ts"
import { keepPeriods, type PeriodsKeeperOptions } from "./keep-periods.ts"
import { followLog } from "./follow-log.ts"
import { heartbeats, reports, undeliverable } from "./hear.ts"
import { dispatched, openJobs, workers } from "./metrics.ts"
import { filePartFor } from "./file-parts.ts"
import { makeReaper } from "./reap.ts"
import { secretsFor } from "./secrets.ts"
import { sendAsked, sendWorker } from "./send-worker.ts"
import { quotaSettler } from "./settle-quota.ts"
import { encodeSnapshot, loadSnapshot } from "./snapshot.ts"
import { watch } from "./watch.ts"

export interface SchedulerOptions extends DeskOptions {
  /** Names this installation's scheduler: after a crash it gets its lease back at once. */
  readonly instance: string
  /** How long the oldest job of a pool should wait at most, in milliseconds: what wanted slots are reckoned by. */
  readonly targetWaitMs: number
  /** What was given to a worker has begun after this, in milliseconds, or it is given to another; 15 s if it is not said. */
  readonly beginWithinMs?: number
  /** This installation's address, which provenance names. */
  readonly publicUrl?: string
  /** How often retention looks for copies whose time is over; 10 minutes if it is not said. */
  readonly retentionEveryMs?: number
  /** How often the reaper looks for what crashes left in clouds, and how long that has to lie there; 6 hours and 1 hour if it is not said. */
  readonly reaperEveryMs?: number
  readonly reaperAfterMs?: number
  /** How often periods of the log are looked after, and how long one that is over stays as it is; 10 minutes and 7 days if it is not said. */
  readonly periods?: Omit<PeriodsKeeperOptions, "isHeld">
  readonly onReady?: Effect.Effect<void>
}

const usualRetentionEveryMs = 10 * 60_000
const usualPeriods = { everyMs: 10 * 60_000, graceMs: 7 * 24 * 3_600_000 }
const usualReaper = { everyMs: 6 * 3_600_000, afterMs: 3_600_000 }

const snapshotName = "scheduler"
const snapshotEvery = "30 seconds"

/** Works until the lease is lost. */
export const runScheduler = Effect.fn("runScheduler")(function*(options: SchedulerOptions) {
  const leases = yield* Leases
  const lease = yield* leases.acquire("scheduler", options.instance)
  yield* Effect.logInfo("scheduling", { fence: lease.fence })
  return yield* Effect.raceFirst(schedule(options, lease), lease.lost)
}, Effect.scoped)

const schedule = Effect.fn("schedule")(function*(options: SchedulerOptions, { isHeld }: Held) {
  const { onReady = Effect.void, targetWaitMs } = options
  const dispatch = yield* Dispatch
  const demand = yield* Demand
  const answers = yield* SchedulingAnswers
  const desk = yield* restoredDesk(options)
  const { scheduler } = desk
  let isReady = false
  const ready = yield* Latch.make()

  const pipelines = yield* pipelinesKeeper({
    positions: { ...desk.positions }, isHeld,
    policyOf: (tenantId) => ({ policy: desk.policies.of(tenantId), standing: policyOf(options.policyFile, tenantId, undefined) })
  })
  const copies = yield* copiesKeeper({
    positions: { ...desk.positions }, everyMs: options.retentionEveryMs ?? usualRetentionEveryMs, pipelines: pipelines.words,
    retentionOf: (tenantId) => ({ ...usualRetention, ...desk.policies.of(tenantId).retention })
  })
  const reaper = makeReaper({
    everyMs: options.reaperEveryMs ?? usualReaper.everyMs, afterMs: options.reaperAfterMs ?? usualReaper.afterMs, places: copies.places, isHeld,
    send: (place, resources) => sendWorker(desk, place, resources)
  })
  const puts = yield* Semaphore.make(64)
  const scope = yield* Effect.scope
  const context = yield* Effect.context<EventLog | Sealer | Blobs | Dispatch | StoredFiles | Attester>()
  const layDown = ({ job, speaker }: Assignment) => {
    const given = { ...job }
    const laid = dispatchJob(desk.cache, speaker, scheduler.mayUpload(speaker), given, copies.storedAlone).pipe(
      Effect.tap((sequence) => {
        if (sequence !== undefined) scheduler.laid(given, sequence)
        return Metric.update(dispatched, 1)
      }),
      Effect.asVoid
    )
    return lackedSets(scheduler.fleet, given, speaker).pipe(
      Effect.flatMap((lacked) => scheduler.putBackLacking(job, lacked, Date.now()) ? Effect.void : laid),
      Effect.catchCause((cause) =>
        Effect.logWarning("a job could not be dispatched and will be again", { composeId: job.composeId, jobId: job.jobId }, cause).pipe(
          Effect.andThen(Effect.sleep("1 second")),
          Effect.andThen(Effect.sync(() => scheduler.putBack(job, Date.now())))
        )),
      puts.withPermits(1),
      Effect.forkIn(scope)
    )
  }
  /** Synchronous up to the fork, so no two pumps see the same free slot. */
  const pump = Effect.suspend(() =>
    isReady && isHeld() ? Effect.forEach(scheduler.due(Date.now()), layDown, { discard: true }) : Effect.void
  ).pipe(Effect.provideContext(context))

  // What was reported while nobody listened is taken in before anything is given out once more.
  const begin = reportsTakenIn.pipe(
    Effect.andThen(dispatch.rollCall),
    Effect.andThen(Effect.sync(() => isReady = true)),
    Effect.andThen(ready.open),
    Effect.andThen(onReady)
  )

  let savedAt = ""
  const save = Effect.suspend(() => {
    const at = JSON.stringify(desk.positions)
    if (at === savedAt || !isReady || !isHeld()) return Effect.void
    const lines = encodeSnapshot({ positions: desk.positions, overrides: desk.policies.overrides }, scheduler.jobs.values())
    return Effect.andThen(Effect.flatMap(Snapshots, (snapshots) => snapshots.save(snapshotName, lines)), Effect.sync(() => savedAt = at))
  }).pipe(Effect.catch((error) => Effect.logWarning(error.message)))
  // Without it the next one reads more of the log: not worth a long wait for a server that is away.
  yield* Effect.addFinalizer(() => Effect.timeoutOption(save, "5 seconds"))

  const measure = Effect.suspend(() =>
    Effect.forEach(demandOf(scheduler, targetWaitMs, Date.now()), (pool) => Effect.andThen(demand.publish(pool), measureDemand(pool)), { discard: true }).pipe(
      Effect.andThen(Metric.update(openJobs, scheduler.jobs.size)), Effect.andThen(Metric.update(workers, scheduler.fleet.size))))

  const discard = (name: WorkerId, digest: Digest) => {
    const { answer, holders } = discardOf(scheduler, Date.now(), name, digest)
    for (const speaker of holders) dispatch.discard(speaker, digest)
    return answer
  }

  /** Whoever has lost the lease without knowing it yet keeps silent. */
  const answering = answers.serve({
    workers: (name) => isHeld() ? workersOf(scheduler, Date.now(), name) : undefined,
    pools: () => isHeld() ? demandOf(scheduler, targetWaitMs, Date.now()) : undefined,
    waiting: (tenantId, composeId) => isHeld() ? waitingOf(scheduler, tenantId, composeId, Date.now()) : undefined,
    discard: (name, digest) => isHeld() ? discard(name, digest) : undefined,
    retention: (tenantId, now) => isHeld() ? copies.expired(tenantId, now)?.map(expiredCopyOf) : undefined,
    reaper: (sweep) => isHeld() ? reaper.report(sweep) : undefined,
    errand: (tenantId, asked) => isHeld() ? Effect.provideContext(sendAsked(desk, tenantId, asked), context) : undefined
  })

  const quota = yield* quotaSettler({
    positions: { ...desk.positions }, countsBytes: (tenantId) => desk.policies.of(tenantId).storedBytes !== undefined
  })
  const caughtUp = yield* followLog(desk, pump, (entry) => {
    quota.record(entry)
    copies.record(entry)
    pipelines.record(entry)
  })
  yield* caughtUp.pipe(
    // Only what the log has told of can be known to lie on a queue.
    Effect.andThen(dispatch.lying.pipe(Effect.tapError((error) => Effect.logWarning(error.message)), Effect.retry(Schedule.spaced("1 second")))),
    Effect.map((lying) => scheduler.settle(lying, Date.now())),
    Effect.andThen(Effect.all([Effect.andThen(begin, answering), reports(desk)], { concurrency: "unbounded", discard: true })),
    Effect.forkScoped
  )
  return yield* Effect.all([
    heartbeats(desk, pump),
    undeliverable(desk),
    watch(desk, options.beginWithinMs),
    pump.pipe(Effect.delay("100 millis"), Effect.forever),
    measure.pipe(Effect.delay("1 second"), Effect.forever),
    save.pipe(Effect.delay(snapshotEvery), Effect.forever),
    // Each may have much of the log to read anew, and jobs are given out without them.
    ready.whenOpen(Effect.all([
      Effect.provide(Effect.all([quota.run, pipelines.run], { concurrency: "unbounded" }), AccountsLive),
      copies.run,
      reaper.run,
      keepPeriods({ ...usualPeriods, ...options.periods, isHeld })
    ], { concurrency: "unbounded", discard: true })),
    // The log knows workers by name; only the desk knows whose pool a name is of.
    dispatch.serveSecrets((speaker, claim) =>
      scheduler.owns(speaker, claim) ? Effect.provideContext(secretsFor(speaker, claim), context) : Effect.succeed(undefined)),
    dispatch.serveFiles((speaker, claim, part) =>
      scheduler.owns(speaker, claim) ? Effect.provideContext(filePartFor(desk.cache, speaker, claim, part), context) : Effect.succeed(undefined)),
    dispatch.serveDocuments((speaker, claim, manifest) =>
      scheduler.owns(speaker, claim) ? Effect.provideContext(documentsFor(speaker, claim, manifest, builderIdOf(options.publicUrl)), context) : Effect.succeed(undefined))
  ], { concurrency: "unbounded", discard: true }).pipe(Effect.andThen(Effect.never))
}, Effect.scoped)

const restoredDesk = Effect.fnUntraced(function*(options: DeskOptions) {
  const desk = new Desk(options, Date.now())
  const isWhole = yield* loadSnapshot(snapshotName, (head) => desk.restore(head), (page) => desk.scheduler.load(page, Date.now())).pipe(
    Effect.catch((error) => Effect.as(Effect.logWarning("the snapshot cannot be used; the log is read from its beginning", { error: error.message }), false)))
  return isWhole ? desk : new Desk(options, Date.now())
})

const reportsTakenIn = Effect.flatMap(Dispatch, ({ backlog }) => backlog).pipe(
  Effect.repeat({ until: (count) => count === 0, schedule: Schedule.spaced("20 millis") }),
  Effect.timeout("5 seconds"),
  Effect.ignore
)
