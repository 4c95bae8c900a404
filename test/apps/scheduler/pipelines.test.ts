/** Pipelines through the whole stack: builds by rule, checks, failures, quotas, retention, and schedulers that vanish. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { v7 } from "uuid"
import { Accounts, AccountsLive } from "../../../apps/accounts.ts"
import { execute } from "../../../apps/execute.ts"
import { executeOnPipeline, readPipeline } from "../../../apps/pipelines.ts"
import { runScheduler } from "../../../apps/scheduler/scheduler.ts"
import { SetPolicy } from "../../../domain/account.ts"
import { CancelCompose, GiveUpJob, RetryCompose } from "../../../domain/compose-commands.ts"
import { neverRequested } from "../../../domain/compose-ending.ts"
import { ComposeCanceled } from "../../../domain/compose-events.ts"
import type { ImageOptions } from "../../../domain/image-options.ts"
import { type ComposeId, JobId, Millis, PipelineName, type TenantId } from "../../../domain/ids.ts"
import { AskBuild, DeclarePipeline, DeletePipeline, type PipelineCommand, PromoteBuild, RequestBuild, ResumePipeline } from "../../../domain/pipeline-commands.ts"
import type { PipelineDefinition } from "../../../domain/pipeline-events.ts"
import type { Pipeline } from "../../../domain/pipeline.ts"
import type { Policy } from "../../../domain/policy.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import type { Booted } from "../../../domain/ports/image-tests.ts"
import { composeRef, pipelineRef } from "../../../domain/recorded.ts"
import { randomOf } from "../../chaos/random.ts"
import { historyOf, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const web = PipelineName.make("web")
const ages = 2 ** 41
const slots = { resolve: 1, build: 2, upload: 1, delete: 1 }
const intent = (tenantId: TenantId) => ({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } as const })
const say = (tenantId: TenantId, command: PipelineCommand, name = web) => executeOnPipeline(intent(tenantId), name, command)
const now = () => Millis.make(Date.now())

const declare = (tenantId: TenantId, rules: Omit<PipelineDefinition, "request"> = {}, options: ImageOptions = {}, name = web) => {
  const resolves = options.packages_every_ms !== undefined
  const request = { distribution: resolves ? "test-distro-2" : "test-distro-1", labels: { team: "a" }, images: [{ architecture: "x86_64", type: "simulated", options }] as const }
  return say(tenantId, DeclarePipeline.make({ at: now(), definition: { request, ...rules }, means: { builder: "simulated", resolves } }), name)
}
const pipelineOf = (tenantId: TenantId, name = web) => Effect.map(readPipeline(tenantId, name), ({ pipeline }) => pipeline)
const eventually = (tenantId: TenantId, holds: (pipeline: Pipeline) => boolean, name = web) => until(pipelineOf(tenantId, name), holds)
const eventsOf = (tenantId: TenantId, name = web) =>
  Effect.map(Effect.flatMap(EventLog, (log) => log.read(pipelineRef(tenantId, name))), ({ recorded }) => recorded.flatMap(({ events }) => events))
const stack = (policy: Policy = {}, retentionEveryMs?: number) =>
  Effect.andThen(startWorker("w1", { abilities: { slots } }), startScheduler("pipelines", undefined, { defaults: policy }, undefined, undefined, retentionEveryMs))
const ask = (tenantId: TenantId) => say(tenantId, AskBuild.make({ at: now() }))
const built = (number: number) => ({ promoted }: Pipeline) => promoted?.number === number
const delivered = (tenantId: TenantId, composeId: ComposeId) => Effect.map(stateOf(tenantId, composeId), ({ removals }) => removals.size === 0)

layer(Layer.provideMerge(AccountsLive, SmallStack), { excludeTestServices: true })("a pipeline", (it) => {
  it.effect("given one that was declared, when its builds are good, then its name stands for the newest, and its composes carry its name and their number", () =>
    Effect.gen(function*() {
      const [tenantId, other] = [newTenant(), newTenant()]
      yield* stack()
      yield* declare(tenantId)
      yield* declare(other)
      const first = yield* eventually(tenantId, built(1))
      const { request } = yield* stateOf(tenantId, first.promoted!.composeId)
      assert.deepStrictEqual([request!.labels, request!.name], [{ team: "a", pipeline: "web", "pipeline-build": "1" }, "web #1"])
      yield* ask(tenantId)
      const second = yield* eventually(tenantId, built(2))
      assert.deepStrictEqual(second.builds.map(({ number, outcome, why }) => [number, outcome, why]), [[2, "good", "request"], [1, "good", "first"]])
      const theirs = yield* eventually(other, built(1))
      assert.notInclude(second.builds.map(({ composeId }) => composeId), theirs.promoted!.composeId)
      yield* say(tenantId, PromoteBuild.make({ at: now(), number: 1 }))
      assert.strictEqual((yield* pipelineOf(tenantId)).promoted!.number, 1)
    }).pipe(Effect.scoped))

  it.effect("given a schedule, when a check finds the same packages, then nothing is built; when it finds others, then they are", () =>
    Effect.gen(function*() {
      const [same, changing] = [newTenant(), newTenant()]
      yield* stack()
      yield* declare(same, { schedule: { everyMs: 150 } }, { packages_every_ms: ages })
      yield* declare(changing, { schedule: { everyMs: 150 } }, { packages_every_ms: 1 })
      const skips = yield* until(eventsOf(same), (events) => events.filter(({ _tag }) => _tag === "BuildSkipped").length >= 2)
      assert.deepStrictEqual(skips.filter(({ _tag }) => _tag === "BuildRequested").length, 1)
      const check = skips.find((event) => event._tag === "CheckRequested")!
      const { jobs, request, status } = yield* stateOf(same, check.composeId)
      assert.deepStrictEqual([[...jobs.keys()], status, request!.labels], [[JobId.make("0-resolve")], "succeeded", { team: "a", pipeline: "web", "pipeline-check": "true" }])
      const rebuilt = yield* eventually(changing, built(2))
      assert.deepStrictEqual([rebuilt.builds.find(({ number }) => number === 2)!.why, rebuilt.builds.length >= 2], ["packages", true])
    }).pipe(Effect.scoped))

  it.effect("given an age, when the last good build is older, then another one is made", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* stack()
      yield* declare(tenantId, { maxAgeMs: 100 })
      const { builds } = yield* eventually(tenantId, ({ lastNumber, promoted }) => lastNumber >= 3 && promoted!.number >= 2)
      assert.deepStrictEqual(builds.find(({ number }) => number === 2)!.why, "age")
      yield* say(tenantId, DeletePipeline.make({ at: now() }))
    }).pipe(Effect.scoped))

  it.effect("given builds that fail, when there were enough, then it pauses and says why; resumed it tries again at once", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* stack()
      yield* declare(tenantId, { pauseAfter: 2, retryAfterMs: 50 }, { fail_with: "user" })
      const paused = yield* eventually(tenantId, (pipeline) => pipeline.paused !== undefined)
      assert.deepStrictEqual([paused.paused!.by, paused.lastNumber, paused.failures, paused.lastFailure!.message, paused.promoted], ["failures", 2, 2, "asked to fail as user", undefined])
      yield* say(tenantId, ResumePipeline.make({ at: now() }))
      const again = yield* eventually(tenantId, ({ lastNumber, paused }) => paused === undefined && lastNumber === 3)
      assert.strictEqual(again.builds[0]!.why, "first")
      yield* say(tenantId, DeletePipeline.make({ at: now() }))
    }).pipe(Effect.scoped))

  it.effect("given a build that has failed, when somebody has its compose tried again and that goes well, then it is good after all", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* startScheduler("pipelines")
      yield* declare(tenantId, { retryAfterMs: 3_600_000 })
      const { builds: [first] } = yield* eventually(tenantId, ({ building }) => building === 1)
      const { composeId } = first!
      yield* until(stateOf(tenantId, composeId), ({ status }) => status === "open")
      yield* execute(intent(tenantId), GiveUpJob.make({ composeId, jobId: JobId.make("0-build"), attempt: 1, reason: "nobody came" }))
      const failed = yield* eventually(tenantId, ({ failures }) => failures === 1)
      assert.deepStrictEqual([failed.lastFailure!.message, failed.promoted], ["nobody came", undefined])
      yield* execute(intent(tenantId), RetryCompose.make({ composeId }))
      yield* startWorker("w1", { abilities: { slots } })
      const after = yield* eventually(tenantId, built(1))
      assert.deepStrictEqual([after.failures, after.lastNumber], [0, 1])
    }).pipe(Effect.scoped))

  it.effect("given a build whose image does not pass its test, then its name stays where it was, until the test passes", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const good: Booted = { accelerator: "kvm", readyMs: 4000, tookMs: 5000, console: "box login: " }
      let boots = good
      yield* startWorker("w1", { abilities: { slots: { ...slots, test: 1 } }, boots: () => boots })
      yield* startScheduler("pipelines")
      const request = { distribution: "test-distro-1", images: [{ architecture: "x86_64", type: "simulated", test: true }] } as const
      yield* say(tenantId, DeclarePipeline.make({ at: now(), definition: { request, retryAfterMs: 3_600_000 }, means: { builder: "simulated", resolves: false, tests: [0] } }))
      yield* eventually(tenantId, built(1))
      boots = { accelerator: "kvm", tookMs: 5000, console: "Kernel panic", problem: "the kernel panicked" }
      yield* ask(tenantId)
      const failed = yield* eventually(tenantId, ({ failures }) => failures === 1)
      assert.deepStrictEqual([failed.lastNumber, failed.promoted!.number, failed.lastGood!.number], [2, 1, 1])
      assert.include(failed.lastFailure!.message, "the kernel panicked")
      const { composeId } = failed.builds[0]!
      // Its file is there all the same.
      assert.isTrue((yield* historyOf(tenantId, composeId)).some((event) => event._tag === "JobSucceeded" && event.outcome._tag === "Uploaded"))
      boots = good
      yield* execute(intent(tenantId), RetryCompose.make({ composeId }))
      yield* eventually(tenantId, built(2))
    }).pipe(Effect.scoped))

  it.effect("given a build that was canceled, when it has ended, then it is neither good nor a failure, and what was asked for meanwhile comes next", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* stack()
      yield* declare(tenantId, {}, { duration_ms: 20_000 })
      const { builds: [first] } = yield* eventually(tenantId, ({ building }) => building === 1)
      yield* until(stateOf(tenantId, first!.composeId), ({ status }) => status === "open")
      yield* ask(tenantId)
      yield* execute(intent(tenantId), CancelCompose.make({ composeId: first!.composeId }))
      const after = yield* eventually(tenantId, ({ building }) => building === 2)
      assert.deepStrictEqual([after.builds.map(({ outcome, why }) => [outcome, why]), after.failures, after.promoted], [[[undefined, "request"], ["canceled", "first"]], 0, undefined])
      // It is said before it is asked for.
      yield* until(stateOf(tenantId, after.builds[0]!.composeId), ({ status }) => status === "open")
      yield* execute(intent(tenantId), CancelCompose.make({ composeId: after.builds[0]!.composeId }))
      yield* eventually(tenantId, ({ building }) => building === undefined)
    }).pipe(Effect.scoped))

  it.effect("given a quota that is full, when a build is due, then it waits and says so, and goes on as soon as there is room", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* stack({ composes: [{ count: 1, windowMs: 86_400_000 }] })
      yield* declare(tenantId)
      yield* eventually(tenantId, built(1))
      yield* ask(tenantId)
      const waiting = yield* eventually(tenantId, ({ delayed }) => delayed !== undefined)
      const { limit, rule, until: resets, used } = waiting.delayed!.refusal
      assert.deepStrictEqual([rule, limit, used, resets! > Date.now(), waiting.lastNumber], ["composes", 1, 1, true, 1])
      yield* (yield* Accounts).execute(intent(tenantId), SetPolicy.make({ policy: { composes: [{ count: 2, windowMs: 86_400_000 }] } }))
      const after = yield* eventually(tenantId, built(2))
      assert.isUndefined(after.delayed)
      assert.strictEqual((yield* eventsOf(tenantId)).filter(({ _tag }) => _tag === "BuildDelayed").length, 1)
    }).pipe(Effect.scoped))

  it.effect("given that the newest one stays, when more are built, then older ones go, but never the one that its name was moved back to", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* stack({ retention: { file: { maxCount: 1 } } }, 100)
      yield* declare(tenantId, { keep: 1 }, { bytes: 70_100, varies: true })
      const first = yield* eventually(tenantId, built(1))
      yield* ask(tenantId)
      const second = yield* eventually(tenantId, built(2))
      yield* until(delivered(tenantId, first.promoted!.composeId), (there) => !there)
      yield* say(tenantId, DeclarePipeline.make({ at: now(), definition: { ...second.definition!, promotion: "manual" }, means: second.means! }))
      for (const number of [3, 4]) {
        yield* ask(tenantId)
        yield* eventually(tenantId, ({ lastGood }) => lastGood?.number === number)
      }
      const after = yield* pipelineOf(tenantId)
      const [fourth, third] = after.builds
      yield* until(delivered(tenantId, third!.composeId), (there) => !there)
      assert.deepStrictEqual([after.promoted!.number, yield* delivered(tenantId, second.promoted!.composeId), yield* delivered(tenantId, fourth!.composeId)], [2, true, true])
    }).pipe(Effect.scoped))
})

/** What a scheduler has given out and does not know any more is given out again after this and ten seconds. */
const beginWithinMs = 2000
/** Nobody waits for its end for long: one that is stopped while it reads its snapshots may never come to it. */
const startAlone = Effect.map(
  Effect.forkDetach(runScheduler({ instance: "pipelines", policyFile: {}, lostAfterMs: 30_000, targetWaitMs: 60_000, deadlineMs: () => 600_000, beginWithinMs })),
  (fiber) => Effect.flatMap(Effect.forkDetach(Fiber.interrupt(fiber)), (stopping) => Effect.timeoutOption(Fiber.join(stopping), "3 seconds"))
)

layer(Layer.provideMerge(AccountsLive, SmallStack), { excludeTestServices: true, timeout: "150 seconds" })("a scheduler that vanishes", (it) => {
  const compose = "01890000-0000-7000-8000-0000000000aa" as ComposeId
  const requested = (composeId: ComposeId) => RequestBuild.make({ at: now(), composeId, number: 1, why: "first" })

  it.effect("given a build that was said and whose compose nobody asked for, when another begins, then it asks for that one", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* declare(tenantId)
      yield* say(tenantId, requested(compose))
      yield* stack()
      const { builds } = yield* eventually(tenantId, built(1))
      assert.deepStrictEqual(builds.map(({ composeId, number }) => [composeId, number]), [[compose, 1]])
    }).pipe(Effect.scoped))

  it.effect("given a compose that ended while nobody listened, when another begins, then it is taken in", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      yield* startWorker("w1", { abilities: { slots } })
      const scheduler = yield* startScheduler("pipelines")
      yield* declare(tenantId)
      yield* eventually(tenantId, built(1))
      yield* scheduler.stop
      const composeId = "01890000-0000-7000-8000-0000000000ab" as ComposeId
      yield* ask(tenantId)
      yield* say(tenantId, { ...requested(composeId), number: 2, why: "request" })
      const log = yield* EventLog
      yield* log.append(composeRef(tenantId, composeId), 0, { ...intent(tenantId), events: [ComposeCanceled.make({ composeId, reason: neverRequested })] })
      yield* startScheduler("pipelines")
      const { builds } = yield* eventually(tenantId, built(3))
      // What could not be asked for any more was no build, and its number is not used again.
      assert.deepStrictEqual(builds.map(({ number, outcome, why }) => [number, outcome, why]), [[3, "good", "request"], [1, "good", "first"]])
    }).pipe(Effect.scoped))

  it.effect("given schedulers that come and go, when each is stopped at any moment, then every build has one compose, and none is left waiting", () =>
    Effect.gen(function*() {
      const tenants = [newTenant(), newTenant(), newTenant()]
      const random = randomOf(11)
      yield* startWorker("w1", { abilities: { slots } })
      for (const [at, tenantId] of tenants.entries()) {
        yield* declare(tenantId, { schedule: { everyMs: 60 }, maxAgeMs: 400 }, at === 0 ? {} : { packages_every_ms: at === 1 ? 200 : ages })
      }
      for (let round = 0; round < 12; round++) {
        const kill = yield* startAlone
        yield* Effect.sleep(random.between(20, 500))
        yield* kill
      }
      yield* startScheduler("pipelines", undefined, {}, undefined, beginWithinMs)
      for (const tenantId of tenants) {
        const before = yield* pipelineOf(tenantId)
        const after = yield* until(pipelineOf(tenantId), ({ promoted }) => (promoted?.number ?? 0) > before.lastNumber)
        yield* say(tenantId, DeletePipeline.make({ at: now() }))
        assert.strictEqual(after.failures, 0)
        const events = yield* eventsOf(tenantId)
        const builds = events.filter((event) => event._tag === "BuildRequested")
        const checks = events.filter((event) => event._tag === "CheckRequested")
        assert.deepStrictEqual(builds.map(({ number }) => number), builds.map((_, at) => at + 1))
        assert.strictEqual(new Set([...builds, ...checks].map(({ composeId }) => composeId)).size, builds.length + checks.length)
        for (const { composeId } of [...builds, ...checks].slice(0, -2)) {
          assert.strictEqual((yield* historyOf(tenantId, composeId)).filter(({ _tag }) => _tag === "ComposeRequested").length, 1)
        }
        const ended = new Set(events.flatMap((event) => event._tag === "BuildEnded" ? [event.number] : []))
        assert.deepStrictEqual(builds.slice(0, -1).filter(({ number }) => !ended.has(number)), [])
      }
    }).pipe(Effect.scoped))
})
