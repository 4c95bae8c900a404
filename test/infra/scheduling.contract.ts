/** What both ends of `Scheduling` do. Run by each adapter's own test. */
import { assert, type Vitest } from "@effect/vitest"
import { Effect, Schedule, type Scope } from "effect"
import { Millis, TenantId, WorkerId } from "../../domain/ids.ts"
import { Scheduling, SchedulingAnswers, type SchedulingDesk } from "../../domain/ports/scheduling.ts"
import { discardOf } from "../../domain/scheduling/discard.ts"
import { waitingOf } from "../../domain/scheduling/job-outlook.ts"
import { demandOf } from "../../domain/scheduling/outlook.ts"
import { Scheduler } from "../../domain/scheduling/scheduler.ts"
import { workersOf } from "../../domain/scheduling/worker-outlook.ts"
import { digest } from "../support/composes.ts"
import { composeNo, heartbeatOf, queuedAs, recordedFor, second, share, speakerOf, start } from "../support/scheduling.ts"

const acme = TenantId.make("acme")

export const aScheduler = (workers: number, label = "x") => {
  const scheduler = new Scheduler({ shareOf: () => share, lostAfterMs: () => 30 * second, deadlineMs: () => 3600 * second, now: start })
  for (let number = 0; number < workers; number += 1) {
    const labels = { rack: "a", "with-ü": label }
    scheduler.hear(speakerOf(`w${number}`), heartbeatOf(1, { held: [digest], labels, distributions: ["debian-13"] }), start)
  }
  scheduler.record(recordedFor("acme", 1, queuedAs("build", { distribution: "debian-12" })), start)
  return scheduler
}

const expiredOne = { composeId: composeNo(1), image: 0, target: 1, type: "s3", bytes: 5, deliveredAt: Millis.make(start), why: "age" as const }

export const deskOf = (scheduler: Scheduler): SchedulingDesk => ({
  workers: (name) => workersOf(scheduler, start, name),
  pools: () => demandOf(scheduler, 30 * second, start),
  waiting: (tenantId, composeId) => waitingOf(scheduler, tenantId, composeId, start),
  discard: (name, digest) => discardOf(scheduler, start, name, digest).answer,
  retention: (tenantId, now) => tenantId === acme && now ? [expiredOne] : [],
  reaper: (sweep) => ({ running: sweep !== undefined, places: [], leftovers: [], more: 0 })
})

const nobody: SchedulingDesk = { workers: () => undefined, pools: () => undefined, waiting: () => undefined, discard: () => undefined, retention: () => undefined, reaper: () => undefined }

/** Serves from when it is heard until the scope ends. */
export const serving = (desk: SchedulingDesk): Effect.Effect<void, unknown, Scheduling | SchedulingAnswers | Scope.Scope> =>
  Effect.gen(function*() {
    yield* Effect.forkScoped((yield* SchedulingAnswers).serve(desk))
    if (desk === nobody) return
    yield* (yield* Scheduling).pools.pipe(Effect.retry({ times: 50, schedule: Schedule.spaced("20 millis") }))
  })

export const schedulingContract = (it: Vitest.MethodsNonLive<Scheduling | SchedulingAnswers>) => {
  it.effect("given no scheduler, when it is asked, then it is silent with a sentence", () =>
    Effect.gen(function*() {
      const scheduling = yield* Scheduling
      const answers = yield* Effect.all([Effect.flip(scheduling.workers()), Effect.flip(scheduling.pools), Effect.flip(scheduling.waiting(acme, composeNo(1)))])
      assert.deepStrictEqual(answers.map(({ _tag }) => _tag), ["SchedulerSilent", "SchedulerSilent", "SchedulerSilent"])
      assert.match(answers[0]!.message, /no scheduler answers/)
    }))

  it.effect("given a scheduler, when it is asked, then the answer is what it sees, whole", () =>
    Effect.gen(function*() {
      const scheduler = aScheduler(2)
      yield* serving(deskOf(scheduler))
      const scheduling = yield* Scheduling
      assert.deepStrictEqual(yield* scheduling.workers(), workersOf(scheduler, start))
      assert.deepStrictEqual(yield* scheduling.workers(WorkerId.make("w1")), workersOf(scheduler, start, WorkerId.make("w1")))
      assert.deepStrictEqual(yield* scheduling.pools, demandOf(scheduler, 30 * second, start))
      const [waits] = yield* scheduling.waiting(acme, composeNo(1))
      assert.deepInclude(waits, { reason: "worker", distribution: "debian-12", position: 1 })
      assert.deepStrictEqual(yield* scheduling.discard(WorkerId.make("w1"), digest), "asked")
      assert.deepStrictEqual(yield* scheduling.discard(WorkerId.make("w9"), digest), "not-held")
      assert.deepStrictEqual([yield* scheduling.retention(acme, true), yield* scheduling.retention(acme, false)], [[expiredOne], []])
      assert.deepStrictEqual([(yield* scheduling.reaper()).running, (yield* scheduling.reaper({ dryRun: true })).running], [false, true])
      assert.deepStrictEqual(yield* scheduling.waiting(TenantId.make("other"), composeNo(1)), [])
    }).pipe(Effect.scoped))

  it.effect("given one that has lost its lease beside the one that works, then the answer is the latter's", () =>
    Effect.gen(function*() {
      yield* serving(nobody)
      yield* serving(deskOf(aScheduler(1)))
      assert.deepStrictEqual((yield* (yield* Scheduling).workers()).map(({ worker }) => worker as string), ["w0"])
    }).pipe(Effect.scoped))

  it.effect("given a scheduler that has ended, then it is silent again", () =>
    Effect.gen(function*() {
      yield* Effect.scoped(serving(deskOf(aScheduler(1))))
      assert.strictEqual((yield* Effect.flip((yield* Scheduling).pools))._tag, "SchedulerSilent")
    }))
}
