/** What comes from the workers: heartbeats, reports, and what could never be delivered. */
import { Effect, Metric, Schedule, Stream } from "effect"
import { imageOf } from "../../domain/job.ts"
import { Dispatch, type ReportDelivery } from "../../domain/ports/work.ts"
import type { Lost } from "../../domain/scheduling/jobs-in-hand.ts"
import type { Speaker, WorkReport } from "../../domain/work.ts"
import type { Desk } from "./desk.ts"
import { EarlyEnds } from "./early-ends.ts"
import { keyedSerial } from "../keyed-serial.ts"
import { lostJobs, reported } from "./metrics.ts"
import { park } from "../park.ts"
import { type AttemptReport, giveUpJob, loseJob, takeReports } from "./take-reports.ts"

const again = <A, E extends { readonly message: string }, R>(effect: Effect.Effect<A, E, R>) =>
  effect.pipe(Effect.tapError((error) => Effect.logWarning(error.message)), Effect.retry(Schedule.spaced("1 second")))

export const heartbeats = (desk: Desk, pump: Effect.Effect<void>) =>
  again(Effect.flatMap(Dispatch, (dispatch) =>
    Stream.runForEach(dispatch.heartbeats, ({ heartbeat, scope, worker }) => {
      const lost = desk.scheduler.hear({ scope, worker }, heartbeat, Date.now())
      return Effect.andThen(loseAll(desk, lost), pump)
    })))

/** An attempt that cannot be recorded as lost now will be found again. */
export const loseAll = (desk: Desk, lost: ReadonlyArray<Lost>) =>
  Effect.forEach(lost, ({ job, reason }) =>
    Effect.andThen(Metric.update(lostJobs, 1), loseJob(desk.cache, job, reason)).pipe(
      Effect.catchCause((cause) => Effect.logWarning("a lost job waits", cause))),
  { discard: true, concurrency: 16 })

export const reports = (desk: Desk) => {
  const door: Door = { serial: keyedSerial<string>(), early: new EarlyEnds() }
  return again(Effect.flatMap(Dispatch, (dispatch) =>
    dispatch.reports.pipe(
      Stream.mapEffect((delivery) => takeIn(desk, delivery, door), { concurrency: 64, unordered: true }),
      Stream.runDrain
    )))
}

interface Door {
  readonly serial: ReturnType<typeof keyedSerial<string>>
  readonly early: EarlyEnds
}

/** Acknowledged when all of it is on record, or is nobody's business any more. */
const takeIn = (desk: Desk, delivery: ReportDelivery, { early, serial }: Door) => {
  const { acknowledge, again, reports, scope, worker } = delivery
  const speaker = { scope, worker }
  return Effect.forEach(groupsOf(reports), ([key, group]) => serial.take(key, takeGroup(desk, speaker, group, early)), { concurrency: "unbounded", discard: true }).pipe(
    Effect.andThen(acknowledge),
    Effect.tap(Metric.update(reported, reports.length)),
    Effect.catch((error) => Effect.andThen(Effect.logWarning("reports wait", { error: error.message }), again)),
    Effect.catchCause((cause) => Effect.logError("reports could not be taken in", cause))
  )
}

/** By compose, in the order they were said; a session's beginning comes before all else of its message. */
const groupsOf = (reports: ReadonlyArray<WorkReport>): ReadonlyArray<readonly [string, ReadonlyArray<WorkReport>]> => {
  const groups = new Map<string, Array<WorkReport>>()
  for (const report of reports) {
    const key = report._tag === "SessionBegan" ? "" : report.claim.composeId
    const group = groups.get(key)
    if (group === undefined) groups.set(key, [report])
    else group.push(report)
  }
  return [...groups]
}

const takeGroup = Effect.fnUntraced(function*(desk: Desk, speaker: Speaker, reports: ReadonlyArray<WorkReport>, early: EarlyEnds) {
  const dispatch = yield* Dispatch
  const attempts: Array<AttemptReport> = []
  const built = new Set<string>()
  for (const report of reports) {
    if (report._tag === "SessionBegan") yield* loseAll(desk, desk.scheduler.orphans(speaker, report.session))
    else if (desk.owns(speaker, report.claim) || built.has(imageOf(report.claim.jobId))) {
      attempts.push(report)
      // Whoever has built an image may go on with it.
      if (report._tag === "AttemptSucceeded" && report.outcome._tag === "Built") built.add(imageOf(report.claim.jobId))
    } else yield* dispatch.stop(speaker, report.claim)
  }
  if (attempts.length === 0) return
  const refused = yield* takeReports(desk.cache, speaker, attempts).pipe(
    Effect.catchTag("StartAwaited", (error) => early.mayWait(speaker, Date.now()) ? Effect.fail(error) : Effect.succeed(attempts.map(({ claim }) => claim))))
  yield* Effect.forEach(refused, (claim) => dispatch.stop(speaker, claim), { discard: true })
})

/** A job that its worker takes and never begins kills it, or cannot be read by it; a report that is never taken in is poison too. */
export const undeliverable = (desk: Desk) =>
  again(Effect.flatMap(Dispatch, (dispatch) =>
    Stream.runForEach(dispatch.undeliverable, ({ deliveries, drop, lying, subject, text, what }) => {
      const reason = `it was delivered ${deliveries} times and never ${what === "job" ? "begun" : "taken in"}`
      const job = lying && desk.scheduler.jobs.get(lying.tenantId, lying.composeId, lying.jobId)
      const giveUp = job !== undefined && job.state === "assigned" && job.attempt === lying!.attempt
        ? giveUpJob(desk.cache, job, reason) : Effect.void
      return Effect.andThen(giveUp, park({
        what, by: "scheduler", where: subject, reason, text: text.slice(0, 4096),
        ...(lying !== undefined && { tenantId: lying.tenantId, composeId: lying.composeId })
      })).pipe(
        Effect.andThen(drop),
        Effect.catchCause((cause) => Effect.logWarning("what cannot be delivered lies on", cause))
      )
    })))
