/** Takes jobs for its slots, runs their handlers, says how they fare, and reports how they ended. */
import { randomBytes } from "node:crypto"
import { Cause, Deferred, Effect, Fiber, Metric, Schedule, Semaphore, Stream } from "effect"
import type { Artifact } from "../../domain/artifact.ts"
import type { Errand } from "../../domain/errand.ts"
import { AttemptToken, type Digest, Millis } from "../../domain/ids.ts"
import { type Failure, JobKind } from "../../domain/job.ts"
import { CredentialSets } from "../../domain/ports/credential-sets.ts"
import { HeldImages } from "../../domain/ports/held-images.ts"
import { AttemptMeter, Meter } from "../../domain/ports/meter.ts"
import { type JobDelivery, Workplace } from "../../domain/ports/work.ts"
import { type Abilities, AttemptReturned, AttemptStarted, type Claim, SessionBegan, type WorkItem, type WorkReport } from "../../domain/work.ts"
import { Beginning, Durations } from "./beginning.ts"
import { makeFeed } from "./feed.ts"
import { handleJob } from "./handle-job.ts"
import { attemptEnded, busy } from "./metrics.ts"
import { runErrand } from "./run-errand.ts"
import { reportOf } from "./report-of.ts"
import { Workspaces } from "./workspace.ts"

export interface WorkerOptions {
  readonly abilities: Abilities
  /** Workspaces are made here and removed when their job has ended. */
  readonly workDir: string
  /** How a folder goes in which other ids may have worked; as files of our own unless said. */
  readonly removeTree?: (path: string) => Promise<void>
  /** Milliseconds that an attempt may take. */
  readonly deadlines: Record<JobKind, number>
  readonly version: string
  /** Of this installation, among others that may use the same clouds. */
  readonly deployment: string
  readonly onReady?: Effect.Effect<void>
}

const heartbeatEvery = "3 seconds"
const patiently = Schedule.min([Schedule.exponential("100 millis"), Schedule.spaced("5 seconds")])
/** An image is no secret for longer than this because something small is done with it. */
const sayWithinMs = 100

interface Attempt {
  readonly claim: Claim
  readonly stop: Deferred.Deferred<void>
  /** Nobody wants it any more, neither from us nor from anybody else. */
  canceled: boolean
}

export const runWorker = Effect.fn("runWorker")(function*({ abilities, deployment, workDir, deadlines, version, removeTree, onReady = Effect.void }: WorkerOptions) {
  const workplace = yield* Workplace
  const images = yield* HeldImages
  const sets = yield* CredentialSets
  const session = randomBytes(12).toString("base64url")
  const running = new Map<string, Attempt>()
  const durations = new Durations()
  const workspaces = new Workspaces(workDir, removeTree)
  let draining = false
  let told = ""

  /** Images are told when they have changed, and to whoever asks. */
  const heartbeat = (inFull: boolean) =>
    Effect.gen(function*() {
      const held = yield* images.held
      const text = held.join()
      const credentials = yield* sets.offered
      workplace.heartbeat({
        session, ...abilities, draining, version, running: [...running.values()].map(({ claim }) => claim), at: Millis.make(Date.now()),
        ...(credentials.length > 0 && { credentials }),
        ...((inFull || text !== told) && { held })
      })
      told = text
      yield* Metric.update(busy, running.size)
    })

  /** Nobody else has these reports: they are said until they are stored. */
  const report = (...reports: ReadonlyArray<WorkReport>) =>
    workplace.report(reports).pipe(
      Effect.tapError((error) => Effect.logWarning("a report waits", { error: error.message })),
      Effect.retry(patiently),
      Effect.orDie
    )

  const begin = (item: Pick<WorkItem, "tenantId" | "composeId" | "jobId" | "attempt">): Attempt => {
    const { tenantId, composeId, jobId, attempt } = item
    const token = AttemptToken.make(`${session}${randomBytes(18).toString("base64url")}`)
    const begun = { claim: { tenantId, composeId, jobId, attempt, token }, stop: Deferred.makeUnsafe<void>(), canceled: false }
    running.set(token, begun)
    return begun
  }
  const startOf = ({ claim }: Attempt) => AttemptStarted.make({ claim, at: Millis.make(Date.now()) })
  const giveBack = ({ claim }: Attempt) => report(AttemptReturned.make({ claim })).pipe(Effect.timeout("5 seconds"), Effect.ignore)

  const work = Effect.fnUntraced(function*({ item, acknowledge }: JobDelivery) {
    const attempt = begin(item)
    const started = startOf(attempt)
    const beginning = yield* Beginning.make(durations.hold(item.kind), Effect.andThen(report(started), acknowledge))
    const ended = yield* run(item, attempt, beginning.told).pipe(
      // Told to go: the job is given back untouched and at once. One whose start nobody has heard of lies on the queue still.
      Effect.onInterrupt(() => beginning.end() ? Effect.andThen(beginning.told, giveBack(attempt)) : Effect.void),
      Effect.ensuring(Effect.sync(() => running.delete(attempt.claim.token)))
    )
    if (ended === undefined) return
    const isTold = beginning.end()
    if (isTold) yield* beginning.told
    const reports: Array<WorkReport> = isTold ? [ended] : [started, ended]
    const artifact = ended._tag === "AttemptSucceeded" && ended.outcome._tag === "Built" ? ended.outcome.artifact : undefined
    const rest = artifact === undefined ? reports : yield* doAfter(item, artifact, reports)
    if (rest.length > 0) yield* report(...rest)
    if (!isTold) yield* acknowledge
  }, (effect, { item }) =>
    Effect.annotateLogs(effect, { tenantId: item.tenantId, composeId: item.composeId, jobId: item.jobId, attempt: item.attempt }))

  /**
   * What waits only for this image and is done in moments is done here at once. It is begun in the report of the image's
   * success, so that nobody else is given it. Answers with what is not reported yet.
   */
  const doAfter = Effect.fnUntraced(function*({ after = [], ...item }: WorkItem, artifact: Artifact, reports: Array<WorkReport>) {
    let unsaid: ReadonlyArray<WorkReport> = reports
    for (const { attempt, jobId, target } of after) {
      const before = unsaid
      const next: WorkItem = { ...item, kind: "upload", jobId, attempt, target, artifact }
      const held = begin(next)
      unsaid = [...before, startOf(held)]
      const doing = yield* Effect.forkChild(run(next, held, Effect.void))
      const ended = yield* Effect.raceFirst(Fiber.join(doing), Effect.andThen(Effect.sleep(sayWithinMs), Effect.andThen(report(...unsaid), Effect.suspend(() => {
        unsaid = []
        return Fiber.join(doing)
      })))).pipe(
        Effect.onInterrupt(() => Effect.ignore(Effect.timeout(unsaid.length === 0 ? giveBack(held) : report(...before), "5 seconds"))),
        Effect.ensuring(Effect.sync(() => running.delete(held.claim.token)))
      )
      if (ended !== undefined) unsaid = [...unsaid, ended]
    }
    return unsaid
  })

  /** What to report at its end; nothing if the attempt is not ours any more. */
  const run = (item: WorkItem, attempt: Attempt, told: Effect.Effect<void>) =>
    Effect.gen(function*() {
      const { claim, stop } = attempt
      const feed = makeFeed({
        progress: (progress) => workplace.progress(claim, progress),
        lines: (lines) => workplace.lines(claim, lines)
      })
      const deadline = deadlines[item.kind]
      const secrets = Effect.andThen(told, workplace.secrets(claim))
      const handle = (workspace: string) => handleJob(item, {
        workspace, report: feed, secrets, filePart: (wanted) => Effect.andThen(told, workplace.filePart(claim, wanted)),
        documents: (manifest) => Effect.andThen(told, workplace.documents(claim, manifest)), deployment, isCanceled: () => attempt.canceled
      })
      const meter = new Meter()
      const handled = (item.kind === "upload" || item.kind === "delete" ? handle(workDir) : workspaces.use(handle)).pipe(
        Effect.timeoutOrElse({
          duration: deadline,
          orElse: () => Effect.fail<Failure>({ class: "timeout", message: `not done after ${deadline / 60_000} minutes` })
        }),
        Effect.exit,
        Effect.provideService(AttemptMeter, meter)
      )
      const since = Date.now()
      const exit = yield* Effect.raceFirst(handled, Effect.as(Deferred.await(stop), undefined))
      if (exit === undefined) return yield* Effect.as(Effect.logInfo("stopped: the attempt is not ours any more"), undefined)
      const took = Date.now() - since
      const ended = reportOf(claim, exit, feed.end(), meter.spent)
      durations.add(item.kind, took)
      yield* attemptEnded(item.kind, ended._tag, took)
      return ended
    })

  const lanes = Object.fromEntries(
    yield* Effect.forEach(JobKind.literals, (kind) => Effect.map(Semaphore.make(Math.max(1, abilities.slots[kind] ?? 0)), (lane) => [kind, lane] as const))
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

  /** Whoever needs the image yet takes it from the store, or has it built again. */
  const discard = (digest: Digest) =>
    images.drop(digest).pipe(
      Effect.andThen(Effect.logInfo("an image was discarded", { digest })),
      Effect.catch((error) => Effect.logWarning(error.message, { digest })),
      Effect.andThen(heartbeat(true))
    )

  const errands = yield* Semaphore.make(4)
  const sentOn = (id: string, errand: Errand) =>
    Effect.flatMap(runErrand(errand, deployment, errands.withPermits(1)), (answer) => workplace.answer(id, answer))

  const control = workplace.control.pipe(Stream.runForEach((message) => {
    if (message._tag === "RollCall") return heartbeat(true)
    if (message._tag === "Discard") return discard(message.digest)
    // What is told meanwhile is heard.
    if (message._tag === "Errand") return Effect.forkChild(sentOn(message.id, message.errand))
    const attempt = running.get(message.claim.token)
    if (attempt === undefined) return Effect.void
    attempt.canceled = message.canceled
    return Effect.asVoid(Deferred.succeed(attempt.stop, undefined))
  }))

  yield* workspaces.clear
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
