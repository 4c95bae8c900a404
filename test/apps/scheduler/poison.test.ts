/** What nobody can take in, each kind of it among others that are fine. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { JobId, PoolScope, type TenantId } from "../../../domain/ids.ts"
import type { ComposeId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Parked } from "../../../domain/ports/parked.ts"
import { CoreNats, WorkNats } from "../../../infra/jetstream/nats.ts"
import { idleWorker } from "../../support/idle-worker.ts"
import { historyOf, newTenant, requestSimulated, smallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const impatient = smallStack({ deliveries: { JOBS: 2, RESULTS: 3 }, jobAckWaitMs: 1000 })
const scope = PoolScope.make("default")
const build = JobId.make("0-build")

const ended = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ status }) => status !== "open")
const parked = (about: string) => until(Effect.flatMap(Parked, ({ list }) => list), (items) => items.some(({ where }) => where.includes(about))).pipe(
  Effect.map((items) => items.find(({ where }) => where.includes(about))!))
const othersGoOn = Effect.gen(function*() {
  const tenantId = newTenant()
  assert.strictEqual((yield* ended(tenantId, yield* requestSimulated(tenantId))).status, "succeeded")
})
const lastFailure = (tenantId: TenantId, id: ComposeId) =>
  Effect.map(historyOf(tenantId, id), (events) => events.findLast((event) => event._tag === "JobFailed")?.failure)
const countOf = (stream: string) => Effect.flatMap(WorkNats, ({ jsm }) => Effect.promise(async () => (await jsm.streams.info(stream)).state.messages))

const idle = Effect.fnUntraced(function*(name: string) {
  const { heartbeat, leave, nc, pull } = yield* idleWorker(name)
  const say = (session: string) => {
    heartbeat({ session })
    pull()
  }
  return { leave, nc, say }
})

layer(impatient, { excludeTestServices: true })("poison", (it) => {
  it.effect("given a job that its worker takes and never begins, then it fails after some deliveries, operators see it, and the rest goes on", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const tenantId = newTenant()
      const { leave, say } = yield* idle("w1")
      const id = yield* requestSimulated(tenantId)
      yield* until(Effect.andThen(Effect.sync(() => say("s".repeat(16))), stateOf(tenantId, id)), ({ status }) => status === "failed")
      assert.deepInclude(yield* lastFailure(tenantId, id), { class: "platform", message: "it was delivered 2 times and never begun" })
      assert.include(yield* parked("jobs.default.w1"), { what: "job", tenantId, composeId: id })
      yield* leave
      yield* startWorker("w2")
      yield* othersGoOn
      assert.strictEqual(yield* until(countOf("JOBS"), (count) => count === 0), 0)
    }))

  it.effect("given something on a worker's queue that is no job, and something among the reports that is no report, then both are set aside and gone, and the rest goes on", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w2")
      const work = yield* WorkNats
      yield* othersGoOn
      yield* Effect.promise(() => work.js.publish("jobs.default.w2", "{\"no\":\"job\"}"))
      yield* Effect.promise(() => work.js.publish("worker.default.w9.result", "no report"))
      yield* othersGoOn
      assert.include(yield* parked("jobs.default.w2"), { what: "job", text: "{\"no\":\"job\"}" })
      assert.include(yield* parked("worker.default.w9.result"), { what: "report", text: "no report" })
      assert.strictEqual(yield* until(countOf("JOBS"), (count) => count === 0), 0)
      assert.strictEqual(yield* until(countOf("RESULTS"), (count) => count === 0), 0)
    }))

  it.effect("given an entry of the log that cannot be read, then the scheduler sets it aside and takes in what comes after it", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w2")
      const tenantId = newTenant()
      const { js } = yield* CoreNats
      const { seq } = yield* Effect.promise(() => js.publish(`events.${tenantId}.compose.01890000-0000-7000-8000-00000000dead.1`, "{\"from\":\"the future\"}"))
      yield* othersGoOn
      assert.include(yield* parked(`EVENTS ${seq} events.${tenantId}`), { what: "event", by: "scheduler" })
      assert.isAtLeast(yield* Effect.flatMap(EventLog, (log) => log.head("EVENTS")), seq)
    }))
})

layer(smallStack({ deliveries: { JOBS: 5, RESULTS: 3 }, jobAckWaitMs: 15_000 }), { excludeTestServices: true })("poison that takes its time", (it) => {
  it.effect("given a job that kills every worker it is given to before that can say so, then it is given up and the rest goes on", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const tenantId = newTenant()
      const { leave, say } = yield* idle("w3")
      let session = 0
      const work = yield* WorkNats
      work.nc.subscribe("jobs.default.w3", { callback: () => void session++ })
      const id = yield* requestSimulated(tenantId)
      // A new session for each job that it was given: it was started again.
      yield* until(Effect.andThen(Effect.sync(() => say(`${session}`.padStart(16, "s"))), stateOf(tenantId, id)), ({ status }) => status === "failed")
      assert.deepInclude(yield* lastFailure(tenantId, id), { class: "platform", message: "it was given to workers 5 times and never begun" })
      assert.include(yield* parked(`${id}/${build}`), { what: "job", tenantId, composeId: id })
      yield* leave
      yield* startWorker("w2")
      yield* othersGoOn
    }))

  it.effect("given a report that can be read and never be taken in, then it comes again some times, is set aside and gone, and the rest goes on", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const tenantId = newTenant()
      const { leave, nc, say } = yield* idle("w4")
      const id = yield* requestSimulated(tenantId)
      yield* until(Effect.andThen(Effect.sync(() => say("s".repeat(16))), countOf("JOBS")), (count) => count > 0)
      // The end of an attempt whose start nobody will ever hear of.
      const claim = { tenantId, composeId: id, jobId: build, attempt: 1, token: "t".repeat(30) }
      nc.publish(`worker.${scope}.w4.result`, JSON.stringify([{ _tag: "AttemptReturned", claim }]))
      const { reason, what } = yield* parked("worker.default.w4.result")
      assert.deepStrictEqual({ reason, what }, { reason: "it was delivered 3 times and never taken in", what: "report" })
      assert.strictEqual(yield* until(countOf("RESULTS"), (count) => count === 0), 0)
      yield* leave
      yield* startWorker("w2")
      assert.strictEqual((yield* ended(tenantId, id)).status, "succeeded")
    }))
})
