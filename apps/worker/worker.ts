/** Takes jobs for its slots, runs their handlers, says how they fare, and reports how they ended. */
import { randomBytes } from "node:crypto"
import { mkdir, mkdtemp, rm, rmdir } from "node:fs/promises"
import { join } from "node:path"
import { Cause, Deferred, Effect, Exit, Metric, Schedule, Semaphore, Stream } from "effect"
import { AttemptToken, Millis } from "../../domain/ids.ts"
import type { Failure, JobKind } from "../../domain/job.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import type { BuildFailed } from "../../domain/ports/image-builder.ts"
import { type JobDelivery, Workplace } from "../../domain/ports/work.ts"
import {
  type Abilities, AttemptFailed, AttemptReturned, AttemptStarted, AttemptSucceeded, type Claim, SessionBegan, type WorkItem, type WorkOutcome, type WorkReport
} from "../../domain/work.ts"
import { Beginning, Durations } from "./beginning.ts"
import { makeFeed } from "./feed.ts"
import { handleJob, ImageMissing } from "./handle-job.ts"
import { attempts, busy, seconds } from "./metrics.ts"

export interface WorkerOptions {
  readonly abilities: Abilities
  /** Workspaces are made here and removed when their job has ended. */
  readonly workDir: string
  /** Milliseconds that an attempt may take. */
  readonly deadlines: Record<JobKind, number>
  readonly version: string
  readonly onReady?: Effect.Effect<void>
}

const heartbeatEvery = "3 seconds"

interface Attempt {
  readonly claim: Claim
  readonly stop: Deferred.Deferred<void>
}

export const runWorker = Effect.fn("runWorker")(function*({ abilities, workDir, deadlines, version, onReady = Effect.void }: WorkerOptions) {
  const workplace = yield* Workplace
  const images = yield* HeldImages
  const session = randomBytes(12).toString("base64url")
  const running = new Map<string, Attempt>()
  const durations = new Durations()
  let draining = false
  let told = ""

  /** Images are told when they have changed, and to whoever asks. */
  const heartbeat = (inFull: boolean) =>
    Effect.gen(function*() {
      const held = yield* images.held
      const text = held.join()
      workplace.heartbeat({
        session, ...abilities, draining, version, running: [...running.values()].map(({ claim }) => claim), at: Millis.make(Date.now()),
        ...((inFull || text !== told) && { held })
      })
      told = text
      yield* Metric.update(busy, running.size)
    })

  /** Nobody else has these reports: they are said until they are stored. */
  const report = (...reports: ReadonlyArray<WorkReport>) =>
    workplace.report(reports).pipe(
      Effect.tapError((error) => Effect.logWarning("a report waits", { error: error.message })),
      Effect.retry(Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])),
      Effect.orDie
    )

  const work = Effect.fnUntraced(function*({ item, acknowledge }: JobDelivery) {
    const { tenantId, composeId, jobId, attempt, kind } = item
    const token = AttemptToken.make(`${session}${randomBytes(18).toString("base64url")}`)
    const claim: Claim = { tenantId, composeId, jobId, attempt, token }
    const stop = yield* Deferred.make<void>()
    running.set(token, { claim, stop })
    const started = AttemptStarted.make({ claim, at: Millis.make(Date.now()) })
    const beginning = yield* Beginning.make(durations.hold(kind), Effect.andThen(report(started), acknowledge))
    yield* run(item, claim, stop, beginning).pipe(
      Effect.tap((ended) => {
        if (ended === undefined) return Effect.void
        return beginning.end() ? Effect.andThen(beginning.told, report(ended)) : Effect.andThen(report(started, ended), acknowledge)
      }),
      // Told to go: the job is given back untouched and at once. One whose start nobody has heard of lies on the queue still.
      Effect.onInterrupt(() =>
        beginning.end()
          ? Effect.andThen(beginning.told, report(AttemptReturned.make({ claim }))).pipe(Effect.timeout("5 seconds"), Effect.ignore)
          : Effect.void),
      Effect.ensuring(Effect.sync(() => running.delete(token)))
    )
  }, (effect, { item }) =>
    Effect.annotateLogs(effect, { tenantId: item.tenantId, composeId: item.composeId, jobId: item.jobId, attempt: item.attempt }))

  /** What to report at its end; nothing if the attempt is not ours any more. */
  const run = (item: WorkItem, claim: Claim, stop: Deferred.Deferred<void>, beginning: Beginning) =>
    Effect.gen(function*() {
      const feed = makeFeed({
        progress: (progress) => workplace.progress(claim, progress),
        lines: (lines) => workplace.lines(claim, lines)
      })
      const deadline = deadlines[item.kind]
      const secrets = Effect.andThen(beginning.told, workplace.secrets(claim))
      const handled = inWorkspace(workDir, item, (workspace) => handleJob(item, { workspace, report: feed, secrets })).pipe(
        Effect.timeoutOrElse({
          duration: deadline,
          orElse: () => Effect.fail<Failure>({ class: "timeout", message: `not done after ${deadline / 60_000} minutes` })
        }),
        Effect.exit
      )
      const since = Date.now()
      const exit = yield* Effect.raceFirst(handled, Effect.as(Deferred.await(stop), undefined))
      if (exit === undefined) return yield* Effect.as(Effect.logInfo("stopped: the attempt is not ours any more"), undefined)
      const took = Date.now() - since
      const ended = reportOf(claim, exit, feed.end())
      durations.add(item.kind, took)
      yield* Metric.update(Metric.withAttributes(attempts, { kind: item.kind, how: ended._tag }), 1)
      yield* Metric.update(Metric.withAttributes(seconds, { kind: item.kind }), took / 1000)
      return ended
    })

  const lanes = Object.fromEntries(
    yield* Effect.forEach(Object.entries(abilities.slots), ([kind, slots]) => Effect.map(Semaphore.make(Math.max(1, slots)), (lane) => [kind, lane] as const))
  ) as Record<JobKind, Semaphore.Semaphore>
  const waiting = new Set<string>()
  /** What comes a second time while the first still waits for a slot is the same job. */
  const take = (delivery: JobDelivery) =>
    Effect.suspend(() => {
      const { attempt, composeId, jobId, kind } = delivery.item
      const name = `${composeId}/${jobId}/${attempt}`
      if (waiting.has(name)) return Effect.void
      waiting.add(name)
      return lanes[kind].withPermits(1)(Effect.andThen(Effect.sync(() => waiting.delete(name)), work(delivery))).pipe(
        Effect.catchCause((cause) => Cause.hasInterruptsOnly(cause) ? Effect.failCause(cause) : Effect.logError("a job could not be worked on", cause)),
        Effect.ensuring(Effect.sync(() => waiting.delete(name))),
        Effect.forkChild,
        Effect.asVoid
      )
    })

  const control = workplace.control.pipe(Stream.runForEach((message) => {
    if (message._tag === "RollCall") return heartbeat(true)
    const attempt = running.get(message.claim.token)
    return attempt === undefined ? Effect.void : Effect.asVoid(Deferred.succeed(attempt.stop, undefined))
  }))

  yield* Effect.promise(() => clean(workDir))
  yield* report(SessionBegan.make({ session }))
  yield* onReady
  yield* Effect.logInfo("working", abilities)
  return yield* Effect.all([
    control,
    Effect.andThen(heartbeat(true), heartbeat(false).pipe(Effect.delay(heartbeatEvery), Effect.forever)),
    Effect.andThen(images.check, heartbeat(true)).pipe(Effect.catch((error) => Effect.logWarning(error.message))),
    Stream.runForEach(workplace.jobs, take)
  ], { concurrency: "unbounded", discard: true }).pipe(
    Effect.onInterrupt(() => Effect.andThen(Effect.sync(() => draining = true), heartbeat(false))),
    Effect.andThen(Effect.never)
  )
})

/** An empty folder, gone afterwards whatever happens; a job that works on no files has none. */
const inWorkspace = <A, E, R>(workDir: string, { jobId, kind }: WorkItem, use: (workspace: string) => Effect.Effect<A, E, R>) =>
  kind === "upload" ? use(workDir) : Effect.acquireUseRelease(
    Effect.promise(() => mkdtemp(join(workDir, `${jobId}-`))),
    use,
    // What was built has been moved away, as a rule, and nothing is left in it.
    (workspace) => Effect.promise(() => rmdir(workspace).catch(() => rm(workspace, { recursive: true, force: true, maxRetries: 3 })))
  )

/** What an earlier run left behind when it was killed. */
const clean = async (workDir: string) => {
  await rm(workDir, { recursive: true, force: true, maxRetries: 3 })
  await mkdir(workDir, { recursive: true })
}

const reportOf = (claim: Claim, exit: Exit.Exit<WorkOutcome, BuildFailed | ImageMissing | Failure>, archive: string | undefined): WorkReport => {
  const log = archive === undefined ? {} : { log: archive }
  return Exit.isSuccess(exit)
    ? AttemptSucceeded.make({ claim, outcome: exit.value, ...log })
    : AttemptFailed.make({ claim, failure: failureOf(exit.cause), ...(isImageMissing(exit.cause) && { imageGone: true }), ...log })
}

/** A defect is the platform's fault: somebody should look at it, and another attempt may pass. */
const failureOf = (cause: Cause.Cause<BuildFailed | ImageMissing | Failure>): Failure => {
  const known = cause.reasons.find(Cause.isFailReason)?.error
  if (known === undefined) return { class: "platform", message: "the worker failed unexpectedly", excerpt: Cause.pretty(cause).slice(0, 2000) }
  if (known instanceof ImageMissing) return { class: "platform", message: known.message }
  return { class: known.class, message: known.message, ...(known.excerpt !== undefined && { excerpt: known.excerpt }) }
}

const isImageMissing = (cause: Cause.Cause<unknown>) => cause.reasons.some((reason) => Cause.isFailReason(reason) && reason.error instanceof ImageMissing)
