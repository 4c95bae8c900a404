/** Takes jobs for its slots, runs their handlers, says how they fare, and reports how they ended. */
import { randomBytes } from "node:crypto"
import { mkdir, mkdtemp, rm } from "node:fs/promises"
import { join } from "node:path"
import { Cause, Deferred, Effect, Exit, Metric, Schedule, Stream } from "effect"
import { type Architecture, AttemptToken, Millis } from "../../domain/ids.ts"
import type { Failure, JobKind } from "../../domain/job.ts"
import type { BuildFailed } from "../../domain/ports/image-builder.ts"
import { type JobDelivery, Workplace } from "../../domain/ports/work.ts"
import {
  AttemptFailed, AttemptReturned, AttemptStarted, AttemptSucceeded, type Claim, SessionBegan, type WorkItem, type WorkOutcome, type WorkReport
} from "../../domain/work.ts"
import { makeFeed } from "./feed.ts"
import { handleJob } from "./handle-job.ts"
import { attempts, busy, seconds } from "./metrics.ts"

export interface WorkerOptions {
  readonly architectures: ReadonlyArray<Architecture>
  readonly slots: Record<JobKind, number>
  /** Workspaces are made here and removed when their job has ended. */
  readonly workDir: string
  readonly deadlines: Record<JobKind, number>
  readonly version: string
  readonly onReady?: Effect.Effect<void>
}

const heartbeatEvery = "3 seconds"

interface Attempt {
  readonly claim: Claim
  readonly stop: Deferred.Deferred<void>
}

export const runWorker = Effect.fn("runWorker")(function*({ architectures, slots, workDir, deadlines, version, onReady = Effect.void }: WorkerOptions) {
  const workplace = yield* Workplace
  const session = randomBytes(12).toString("base64url")
  const running = new Map<string, Attempt>()
  let draining = false

  const heartbeat = Effect.suspend(() => {
    workplace.heartbeat({
      session, architectures, slots, draining, version, running: [...running.values()].map(({ claim }) => claim), at: Millis.make(Date.now())
    })
    return Metric.update(busy, running.size)
  })

  /** Nobody else has this report: it is said until it is stored. */
  const report = (message: WorkReport) =>
    workplace.report(message).pipe(
      Effect.tapError((error) => Effect.logWarning("a report waits", { error: error.message })),
      Effect.retry(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")]))
    )

  const work = Effect.fn("work")(function*({ item, acknowledge }: JobDelivery) {
    const { tenantId, composeId, jobId, attempt } = item
    const token = AttemptToken.make(`${session}${randomBytes(18).toString("base64url")}`)
    const claim: Claim = { tenantId, composeId, jobId, attempt, token }
    const stop = yield* Deferred.make<void>()
    running.set(token, { claim, stop })
    yield* report(AttemptStarted.make({ claim }))
    yield* Effect.ignore(acknowledge)
    yield* run(item, claim, stop)
  }, (effect, { item }) =>
    effect.pipe(
      Effect.ensuring(Effect.sync(() => {
        for (const [token, { claim }] of running) if (claim.composeId === item.composeId && claim.jobId === item.jobId) running.delete(token)
      })),
      Effect.annotateLogs({ tenantId: item.tenantId, composeId: item.composeId, jobId: item.jobId, attempt: item.attempt })
    ))

  const run = (item: WorkItem, claim: Claim, stop: Deferred.Deferred<void>) =>
    Effect.gen(function*() {
      const feed = makeFeed({
        progress: (progress) => workplace.progress(claim, progress),
        lines: (lines) => workplace.lines(claim, lines)
      })
      const handled = Effect.acquireUseRelease(
        Effect.promise(() => mkdtemp(join(workDir, `${item.jobId}-`))),
        (workspace) => handleJob(item, { workspace, report: feed, secrets: workplace.secrets(claim) }),
        (workspace) => Effect.promise(() => rm(workspace, { recursive: true, force: true, maxRetries: 3 }))
      ).pipe(
        Effect.timeoutOrElse({
          duration: deadlines[item.kind],
          orElse: () => Effect.fail<Failure>({ class: "timeout", message: `not done after ${deadlines[item.kind] / 60_000} minutes` })
        }),
        Effect.exit
      )
      const begun = Date.now()
      const exit = yield* Effect.raceFirst(handled, Effect.as(Deferred.await(stop), undefined))
      feed.flush()
      if (exit === undefined) return yield* Effect.logInfo("stopped: the attempt is not ours any more")
      const ended = reportOf(claim, exit, feed.archive())
      yield* report(ended)
      yield* Metric.update(Metric.withAttributes(attempts, { kind: item.kind, how: ended._tag }), 1)
      yield* Metric.update(Metric.withAttributes(seconds, { kind: item.kind }), (Date.now() - begun) / 1000)
    }).pipe(
      // Told to go: the job is given back untouched and at once.
      Effect.onInterrupt(() => report(AttemptReturned.make({ claim })).pipe(Effect.timeout("5 seconds"), Effect.ignore))
    )

  const slot = (architecture: Architecture, kind: JobKind) =>
    workplace.take(architecture, kind).pipe(
      Effect.retry(Schedule.spaced("250 millis")),
      Effect.flatMap(work),
      Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.logError("a job could not be worked on", cause)),
      Effect.forever
    )

  const control = workplace.control.pipe(Stream.runForEach((message) => {
    if (message._tag === "RollCall") return heartbeat
    const attempt = running.get(message.claim.token)
    return attempt === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(attempt.stop, undefined))
  }))

  yield* Effect.promise(() => clean(workDir))
  yield* report(SessionBegan.make({ session }))
  yield* onReady
  yield* Effect.logInfo("working", { architectures, slots })
  const lanes = architectures.flatMap((architecture) =>
    (Object.entries(slots) as Array<[JobKind, number]>).flatMap(([kind, count]) => Array.from({ length: count }, () => slot(architecture, kind))))
  return yield* Effect.all([
    control,
    heartbeat.pipe(Effect.repeat(Schedule.spaced(heartbeatEvery))),
    ...lanes
  ], { concurrency: "unbounded", discard: true }).pipe(
    Effect.onInterrupt(() => Effect.andThen(Effect.sync(() => draining = true), heartbeat)),
    Effect.andThen(Effect.never)
  )
})

/** What an earlier run left behind when it was killed. */
const clean = async (workDir: string) => {
  await rm(workDir, { recursive: true, force: true, maxRetries: 3 })
  await mkdir(workDir, { recursive: true })
}

const reportOf = (claim: Claim, exit: Exit.Exit<WorkOutcome, BuildFailed | Failure>, archive: string | undefined): WorkReport => {
  const log = archive === undefined ? {} : { log: archive }
  return Exit.isSuccess(exit)
    ? AttemptSucceeded.make({ claim, outcome: exit.value, ...log })
    : AttemptFailed.make({ claim, failure: failureOf(exit.cause), ...log })
}

/** A defect is the platform's fault: somebody should look at it, and another attempt may pass. */
const failureOf = (cause: Cause.Cause<BuildFailed | Failure>): Failure => {
  const known = cause.reasons.find(Cause.isFailReason)?.error
  if (known === undefined) return { class: "platform", message: "the worker failed unexpectedly", excerpt: Cause.pretty(cause).slice(0, 2000) }
  return { class: known.class, message: known.message, ...(known.excerpt !== undefined && { excerpt: known.excerpt }) }
}
