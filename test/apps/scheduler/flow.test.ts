import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { execute } from "../../../apps/execute.ts"
import { rebuild } from "../../../apps/projector/rebuild.ts"
import { CancelCompose, RetryCompose } from "../../../domain/compose-commands.ts"
import type { ComposeEvent } from "../../../domain/compose-events.ts"
import { type ComposeId, Millis, type TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { Blobs } from "../../../domain/ports/blobs.ts"
import { Dispatch } from "../../../domain/ports/work.ts"
import { JobFeed } from "../../../domain/ports/job-feed.ts"
import { WorkNats } from "../../../infra/jetstream/nats.ts"
import { gunzipSync } from "node:zlib"
import { projections } from "../../../projections/all.ts"
import {
  historyOf, newTenant, requestSimulated, rowsOf, SmallStack, startProjector, startScheduler, startWorker, stateOf, until
} from "../../support/small-stack.ts"

const tags = (events: ReadonlyArray<ComposeEvent>) => events.map(({ _tag }) => _tag)
const ended = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ status }) => status !== "open")
const running = (tenantId: TenantId, id: ComposeId) =>
  until(stateOf(tenantId, id), ({ jobs }) => [...jobs.values()].some(({ state }) => state === "running"))
const cancel = (tenantId: TenantId, composeId: ComposeId) =>
  execute({ tenantId, messageId: `cancel-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } }, CancelCompose.make({ composeId }))

layer(SmallStack, { excludeTestServices: true })("a compose on its way", (it) => {
  it.effect("given scheduler and worker, when it is requested, then its jobs run one after the other and its bytes are in the store", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker()
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { bytes: 100_000, lines: 3, duration_ms: 800 })
      const compose = yield* ended(tenantId, id)
      assert.strictEqual(compose.status, "succeeded")
      const events = yield* historyOf(tenantId, id)
      assert.deepStrictEqual(tags(events), [
        "ComposeRequested", "JobQueued", "JobStarted", "JobSucceeded", "JobQueued", "JobStarted", "JobSucceeded", "ComposeFinished"
      ])
      const built = events.find((event) => event._tag === "JobSucceeded")!
      assert.strictEqual(built.outcome._tag === "Built" && built.outcome.artifact.size, 100_000)
      if (built.outcome._tag === "Built") {
        assert.strictEqual(yield* (yield* Artifacts).size(built.outcome.artifact.digest), 100_000)
      }
      const archived = yield* (yield* Blobs).get(built.log!.digest)
      assert.include(gunzipSync(archived!).toString(), "simulated line 3 of 3")
      const feed = yield* (yield* JobFeed).recent(tenantId, id, 0)
      assert.includeMembers(feed.flatMap((item) => item._tag === "LogLines" ? item.lines : []), ["simulated line 1 of 3"])
      assert.isTrue(feed.some((item) => item._tag === "ProgressReport"))
    }))

  it.effect("given a worker that may upload, when it has built, then it delivers at once, and that is one decision with the image's success", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker()
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { duration_ms: 300 })
      yield* ended(tenantId, id)
      const { recorded } = yield* (yield* EventLog).read(composeRef(tenantId, id))
      // Its end as well, but on a machine so busy that to deliver takes a while.
      const [built, delivered = []] = recorded.map(({ events }) => tags(events)).filter((decided) => decided.includes("JobSucceeded"))
      assert.deepStrictEqual([...built!, ...delivered], ["JobSucceeded", "JobQueued", "JobStarted", "JobSucceeded", "ComposeFinished"])
      assert.include(built!, "JobStarted")
    }))

  it.effect("given one worker that only builds and one that only uploads, then the image is built, and waits for its holder alone", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w1", { abilities: { slots: { resolve: 0, build: 1, upload: 0 } } })
      yield* startWorker("w2", { abilities: { slots: { resolve: 0, build: 0, upload: 1 } } })
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId)
      const state = yield* until(stateOf(tenantId, id), ({ jobs }) => [...jobs.values()].some(({ kind, state }) => kind === "upload" && state === "queued"))
      assert.strictEqual(state.status, "open")
      const queuedUpload = (yield* historyOf(tenantId, id)).findLast((event) => event._tag === "JobQueued")
      assert.strictEqual(queuedUpload?.held?.worker, "w1")
      yield* cancel(tenantId, id)
    }))

  it.effect("given a job that fails by the requester's fault, then the compose fails at once, with class and excerpt", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker()
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { fail_with: "user" })
      assert.strictEqual((yield* ended(tenantId, id)).status, "failed")
      const failed = (yield* historyOf(tenantId, id)).find((event) => event._tag === "JobFailed")
      assert.deepStrictEqual(failed?.failure, { class: "user", message: "asked to fail as user", excerpt: "simulated failure" })
    }))

  it.effect("given a failed compose, when it is retried, then only what failed runs again", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker()
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { fail_with: "user" })
      yield* ended(tenantId, id)
      yield* execute({ tenantId, messageId: "retry", at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } }, RetryCompose.make({ composeId: id }))
      yield* until(stateOf(tenantId, id), ({ status, jobs }) => status === "failed" && [...jobs.values()].some(({ attempt }) => attempt === 2))
      const events = yield* historyOf(tenantId, id)
      assert.deepStrictEqual(tags(events).slice(4), ["ComposeFinished", "ComposeReopened", "JobQueued", "JobStarted", "JobFailed", "ComposeFinished"])
    }))

  it.effect("given a running job, when its compose is canceled, then its worker lets go of it and is free for the next", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w1", { abilities: { slots: { resolve: 0, build: 1, upload: 1 } } })
      const tenantId = newTenant()
      const long = yield* requestSimulated(tenantId, { duration_ms: 60_000 })
      yield* running(tenantId, long)
      yield* cancel(tenantId, long)
      assert.strictEqual((yield* stateOf(tenantId, long)).status, "canceled")
      const next = yield* requestSimulated(tenantId)
      assert.strictEqual((yield* ended(tenantId, next)).status, "succeeded")
    }))

  it.effect("given no scheduler, when a job ends, then its result waits and is taken in when there is one again", () =>
    Effect.gen(function*() {
      const scheduler = yield* startScheduler()
      yield* startWorker()
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { duration_ms: 2000 })
      yield* running(tenantId, id)
      yield* scheduler.stop
      const { jsm } = yield* WorkNats
      const waiting = Effect.promise(() => jsm.streams.getMessage("RESULTS", { last_by_subj: "worker.default.w1.result" }))
      yield* until(waiting, (result) => result?.string().includes("AttemptSucceeded") === true)
      assert.strictEqual((yield* stateOf(tenantId, id)).status, "open")
      yield* startScheduler()
      assert.strictEqual((yield* ended(tenantId, id)).status, "succeeded")
      assert.notInclude(tags(yield* historyOf(tenantId, id)), "JobLost")
    }))

  it.effect("given a running job, when its worker is told to go, then the job is given back and no attempt is counted", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const first = yield* startWorker("w1")
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { duration_ms: 60_000 })
      yield* running(tenantId, id)
      yield* first.stop
      yield* startWorker("w2")
      const starts = Effect.map(historyOf(tenantId, id), (events) => events.filter((event) => event._tag === "JobStarted" && event.jobId === "0-build"))
      const started = yield* until(starts, ({ length }) => length > 1)
      yield* cancel(tenantId, id)
      assert.deepStrictEqual(started.map((event) => "attempt" in event && event.attempt), [1, 1])
    }))

  it.effect("given a worker that falls silent, then its job is lost and another worker gets it", () =>
    Effect.gen(function*() {
      yield* startScheduler("test", 4000)
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId)
      const dispatch = yield* Dispatch
      // Takes the job's place by hand: a worker that reports a start and is never heard of again.
      const state = yield* stateOf(tenantId, id)
      const job = [...state.jobs.values()].find(({ state }) => state === "queued")!
      yield* execute(
        { tenantId, messageId: "ghost", at: Millis.make(Date.now()), actor: { kind: "worker", id: "ghost" } },
        { _tag: "StartJob", composeId: id, jobId: job.jobId, attempt: 1, worker: "ghost" as never, token: "g".repeat(30) as never }
      )
      yield* startWorker()
      assert.strictEqual((yield* ended(tenantId, id)).status, "succeeded")
      assert.include(tags(yield* historyOf(tenantId, id)), "JobLost")
      assert.deepStrictEqual((yield* dispatch.lying).filter(({ composeId }) => composeId === id), [])
    }))

  it.effect("given two schedulers, then the second waits, and takes over when the first is gone", () =>
    Effect.gen(function*() {
      const first = yield* startScheduler("one")
      yield* Effect.sleep("300 millis")
      yield* startScheduler("two")
      yield* startWorker()
      const tenantId = newTenant()
      assert.strictEqual((yield* ended(tenantId, yield* requestSimulated(tenantId))).status, "succeeded")
      yield* first.stop
      assert.strictEqual((yield* ended(tenantId, yield* requestSimulated(tenantId))).status, "succeeded")
    }))

  it.effect("given a scheduler that has worked before, when it starts again, then it reads the log from where it stopped", () =>
    Effect.gen(function*() {
      const first = yield* startScheduler()
      yield* startWorker()
      const tenantId = newTenant()
      yield* ended(tenantId, yield* requestSimulated(tenantId))
      yield* first.stop
      const head = yield* (yield* EventLog).head("EVENTS")
      const waiting = yield* requestSimulated(tenantId)
      const asked: Array<number> = []
      const real = yield* EventLog
      yield* startScheduler().pipe(Effect.provideService(EventLog, EventLog.of({
        ...real,
        follow: (stream, after) => {
          asked.push(after)
          return real.follow(stream, after)
        }
      })))
      assert.strictEqual((yield* ended(tenantId, waiting)).status, "succeeded")
      assert.isAtLeast(asked[0]!, head)
    }))

  it.effect("given a projector, then rows follow, and a rebuilt read model is the live one row for row", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker()
      yield* startProjector
      const tenantId = newTenant()
      const ids = yield* Effect.forEach([{}, { fail_with: "user" as const }, { lines: 2 }], (options) => requestSimulated(tenantId, options))
      yield* Effect.forEach(ids, (id) => ended(tenantId, id))
      const rows = yield* until(rowsOf("composes", tenantId), (rows) => rows.length === 3 && rows.every((row) => row["ended_at"] !== null))
      assert.deepStrictEqual(rows.map((row) => row["status"]).toSorted(), ["failed", "succeeded", "succeeded"])
      const attempts = yield* until(rowsOf("jobs", tenantId), (rows) => rows.filter((row) => row["ended_at"] !== null).length === 5)
      for (const projection of projections.values()) yield* rebuild(projection)
      assert.deepStrictEqual(yield* rowsOf("composes", tenantId), rows)
      assert.deepStrictEqual(yield* rowsOf("jobs", tenantId), attempts)
      // And the live one goes on from there.
      const more = yield* requestSimulated(tenantId)
      yield* until(rowsOf("composes", tenantId), (rows) => rows.some((row) => row["compose_id"] === more && row["status"] === "succeeded"))
    }))
})
