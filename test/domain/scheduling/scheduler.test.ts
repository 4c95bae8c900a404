import { assert, describe, it } from "@effect/vitest"
import { ComposeCanceled, type ComposeEvent, JobCanceled, JobQueued, JobReturned } from "../../../domain/compose.ts"
import { AttemptToken, ComposeId, Millis, PoolId, TenantId, WorkerId } from "../../../domain/ids.ts"
import { composeRef, type Recorded } from "../../../domain/recorded.ts"
import { Scheduler } from "../../../domain/scheduling/scheduler.ts"
import type { Heartbeat } from "../../../domain/work.ts"
import { decisionOf, jobs, queued, started } from "../../support/composes.ts"

const pool = PoolId.make("default")
const speaker = { pool, worker: WorkerId.make("w1") }
const second = 1000
const start = 1_790_000_000_000

const heartbeat = (build: number, more: Partial<Heartbeat> = {}): Heartbeat => ({
  session: "s1", architectures: ["x86_64"], slots: { resolve: 1, build, upload: 1 }, running: [], draining: false, version: "1", at: Millis.make(start), ...more
})
const composeNo = (number: number) => ComposeId.make(`01890000-0000-7000-8000-${String(number).padStart(12, "0")}`)

const make = () => new Scheduler({ poolOf: () => pool, lostAfterMs: 30 * second, now: start })

let sequence = 0
const recorded = (tenant: string, compose: number, ...events: [ComposeEvent, ...Array<ComposeEvent>]): Recorded => {
  sequence += 1
  const composeId = composeNo(compose)
  const [first, ...rest] = events.map((event) => ({ ...event, composeId }))
  return {
    _tag: "Recorded", ...composeRef(TenantId.make(tenant), composeId), ...decisionOf(`m${sequence}`, first!, ...rest),
    revision: sequence, position: { stream: "EVENTS", sequence }
  }
}
const due = (scheduler: Scheduler, now = start) => scheduler.due(now).map(({ job }) => `${job.tenantId}/${Number(job.composeId.slice(-12))}`)

describe("dispatch", () => {
  it("waits for a worker, then fills its slots and a few more, no deeper", () => {
    const scheduler = make()
    for (let compose = 1; compose <= 10; compose++) scheduler.record(recorded("a", compose, queued(jobs.build)), start)
    assert.deepStrictEqual(due(scheduler), [])
    scheduler.hear(speaker, heartbeat(4), start)
    assert.deepStrictEqual(due(scheduler), ["a/1", "a/2", "a/3", "a/4", "a/5"])
    assert.deepStrictEqual(due(scheduler), [])
  })
  it("lets tenants take turns, however many jobs one of them has", () => {
    const scheduler = make()
    for (let compose = 1; compose <= 100; compose++) scheduler.record(recorded("many", compose, queued(jobs.build)), start)
    scheduler.record(recorded("one", 500, queued(jobs.build)), start)
    scheduler.hear(speaker, heartbeat(3), start)
    assert.deepStrictEqual(due(scheduler), ["many/1", "one/500", "many/2", "many/3"])
  })
  it("holds a job back until its time has come", () => {
    const scheduler = make()
    scheduler.hear(speaker, heartbeat(1), start)
    scheduler.record(recorded("a", 1, queued(jobs.build, 2, start + 5 * second)), start)
    assert.deepStrictEqual(due(scheduler, start + 4 * second), [])
    assert.deepStrictEqual(due(scheduler, start + 5 * second), ["a/1"])
  })
  it("gives a slot on when a job has ended, was canceled, or was given back", () => {
    const scheduler = make()
    scheduler.hear(speaker, heartbeat(1), start)
    for (let compose = 1; compose <= 4; compose++) scheduler.record(recorded("a", compose, queued(jobs.build)), start)
    assert.deepStrictEqual(due(scheduler), ["a/1", "a/2"])
    scheduler.record(recorded("a", 1, started(jobs.build)), start)
    const stop = scheduler.record(
      recorded("a", 1, JobCanceled.make({ composeId: composeNo(1), jobId: jobs.build, attempt: 1 }), ComposeCanceled.make({ composeId: composeNo(1) })), start)
    assert.deepStrictEqual(stop.map(({ worker }) => worker), [speaker.worker])
    assert.deepStrictEqual(due(scheduler), ["a/3"])
    scheduler.record(recorded("a", 2, started(jobs.build)), start)
    scheduler.record(recorded("a", 2, JobReturned.make({ composeId: composeNo(2), jobId: jobs.build, attempt: 1 }), queued(jobs.build)), start)
    assert.deepStrictEqual(due(scheduler), ["a/4"])
  })
  it("gives no work to a draining or a foreign worker, nor for an architecture nobody has", () => {
    const scheduler = make()
    const arm = JobQueued.make({ ...queued(jobs.build), request: { architecture: "aarch64", type: "guest-image" } })
    scheduler.record(recorded("a", 1, queued(jobs.build)), start)
    scheduler.record(recorded("a", 2, arm), start)
    scheduler.hear(speaker, heartbeat(4, { draining: true }), start)
    scheduler.hear({ ...speaker, pool: PoolId.make("other") }, heartbeat(4), start)
    assert.deepStrictEqual(due(scheduler), [])
    scheduler.hear({ ...speaker, worker: WorkerId.make("w2") }, heartbeat(4), start)
    assert.deepStrictEqual(due(scheduler), ["a/1"])
  })
  it("dispatches again what no queue holds and nobody began", () => {
    const scheduler = make()
    scheduler.hear(speaker, heartbeat(1), start)
    scheduler.record(recorded("a", 1, queued(jobs.build)), start)
    const [first] = scheduler.due(start)
    assert.strictEqual(scheduler.recover([], start - second, start), 0)
    assert.strictEqual(scheduler.recover([{ ...first!.job }], start + second, start + 2 * second), 0)
    assert.strictEqual(scheduler.recover([], start + second, start + 2 * second), 1)
    assert.deepStrictEqual(due(scheduler, start + 2 * second), ["a/1"])
  })
})

describe("a worker", () => {
  const token = AttemptToken.make(`s1${"x".repeat(22)}`)
  const running = (scheduler: Scheduler) => {
    scheduler.hear(speaker, heartbeat(1), start)
    scheduler.record(recorded("a", 1, queued(jobs.build)), start)
    scheduler.record(recorded("a", 1, { ...started(jobs.build), token }), start)
  }
  it("counts as lost after its silence, but not before the scheduler has listened that long", () => {
    const scheduler = make()
    running(scheduler)
    assert.deepStrictEqual(scheduler.lost(start + 30 * second), [])
    assert.deepStrictEqual(scheduler.lost(start + 31 * second).map((job) => job.token), [token])
    const restarted = make()
    restarted.restore([...scheduler.jobs.values()], [], start + 60 * second)
    assert.deepStrictEqual(restarted.lost(start + 29 * second), [])
  })
  it("that was restarted holds nothing of its former session", () => {
    const scheduler = make()
    running(scheduler)
    assert.deepStrictEqual(scheduler.orphans(speaker, "s1"), [])
    assert.deepStrictEqual(scheduler.orphans(speaker, "s2").length, 1)
    assert.deepStrictEqual(scheduler.orphans({ ...speaker, pool: PoolId.make("other") }, "s2"), [])
  })
})

describe("a restart", () => {
  it("knows what lies on the queues, what runs, and what has to be dispatched", () => {
    const before = make()
    for (let compose = 1; compose <= 3; compose++) before.record(recorded("a", compose, queued(jobs.build)), start)
    before.record(recorded("a", 1, started(jobs.build)), start)
    const after = make()
    const lying = [...before.jobs.values()].find((job) => job.composeId === composeNo(2))!
    after.restore([...before.jobs.values()], [lying], start)
    after.hear(speaker, heartbeat(2), start)
    assert.deepStrictEqual(due(after), ["a/3"])
  })
})
