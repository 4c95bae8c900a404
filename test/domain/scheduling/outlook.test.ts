/** What the scheduler says to those who ask: who waits for what, and what the workers do. */
import { assert, describe, it } from "@effect/vitest"
import { Schema } from "effect"
import { Millis, PoolId, TenantId, WorkerId } from "../../../domain/ids.ts"
import type { JobKind } from "../../../domain/job.ts"
import { discardOf } from "../../../domain/scheduling/discard.ts"
import { demandOf } from "../../../domain/scheduling/outlook.ts"
import { JobOutlook, waitingOf } from "../../../domain/scheduling/job-outlook.ts"
import { Scheduler } from "../../../domain/scheduling/scheduler.ts"
import type { Share } from "../../../domain/scheduling/shares.ts"
import type { TargetLimits } from "../../../domain/target-limits.ts"
import { WorkerOutlook, workersOf } from "../../../domain/scheduling/worker-outlook.ts"
import { digest, image, jobs } from "../../support/composes.ts"
import { composeNo, heartbeatOf, heldBy, queuedAs, recordedFor, second, share, speakerOf, start, startedBy } from "../../support/scheduling.ts"

const schedulerWith = (shares: Record<string, Partial<Share>> = {}, limits?: TargetLimits) =>
  new Scheduler({ ...(limits && { limits }), shareOf: (tenant) => ({ ...share, ...shares[tenant] }), lostAfterMs: () => 30 * second, deadlineMs: () => 3600 * second, now: start })

const queue = (scheduler: Scheduler, tenant: string, compose: number, kind: JobKind = "build", more: Parameters<typeof queuedAs>[1] = {}) =>
  scheduler.record({ ...recordedFor(tenant, compose, queuedAs(kind, more)), at: Millis.make(start) }, start)

const waiting = (scheduler: Scheduler, tenant: string, compose: number, now = start) =>
  waitingOf(scheduler, TenantId.make(tenant), composeNo(compose), now)

describe("a queued job", () => {
  it("waits for a worker while none of its pool can do it, and says for which, since when and in which place", () => {
    const scheduler = schedulerWith({ acme: { pool: PoolId.make("acme") } })
    queue(scheduler, "acme", 1)
    queue(scheduler, "acme", 2)
    const [outlook] = waiting(scheduler, "acme", 2, start + 60 * second)
    assert.deepStrictEqual(outlook, {
      jobId: jobs.build, attempt: 1, kind: "build", reason: "worker", pool: PoolId.make("acme"), architecture: "x86_64",
      distribution: "debian-13", imageType: "guest-image", since: Millis.make(start), position: 2
    })
    Schema.decodeUnknownSync(JobOutlook)(outlook)
  })

  it("waits for a worker while those there are do other images, serve other pools, go away or are silent", () => {
    const reasonAfter = (tell: (scheduler: Scheduler) => void) => {
      const scheduler = schedulerWith()
      queue(scheduler, "acme", 1)
      tell(scheduler)
      return waiting(scheduler, "acme", 1, start + second)[0]!.reason
    }
    const heard = (more: Parameters<typeof heartbeatOf>[1], scope = "default", at = start) => (scheduler: Scheduler) =>
      void scheduler.hear(speakerOf("w1", scope), heartbeatOf(1, more), at)
    assert.strictEqual(reasonAfter(heard({})), "slots")
    assert.strictEqual(reasonAfter(heard({}, "default_other")), "slots")
    const others = [heard({ architectures: ["aarch64"] }), heard({ distributions: ["debian-12"] }), heard({ imageTypes: ["container"] }),
      heard({ slots: { resolve: 1, build: 0, upload: 1 } }), heard({ draining: true }), heard({}, "other"), heard({}, "default", start - 60 * second)]
    assert.deepStrictEqual(others.map(reasonAfter), others.map(() => "worker"))
  })

  it("waits for a slot while all that can do it are busy, in its fair place", () => {
    const scheduler = schedulerWith()
    scheduler.hear(speakerOf("w1"), heartbeatOf(1), start)
    queue(scheduler, "greedy", 1)
    scheduler.due(start)
    for (const compose of [2, 3, 4]) queue(scheduler, "greedy", compose)
    queue(scheduler, "acme", 5)
    assert.deepInclude(waiting(scheduler, "greedy", 4)[0], { reason: "slots" })
    assert.isBelow(waiting(scheduler, "acme", 5)[0]!.position!, waiting(scheduler, "greedy", 4)[0]!.position!)
  })

  it("waits for its tenant's limit while there are slots", () => {
    const scheduler = schedulerWith({ acme: { runningJobs: 1 } })
    scheduler.hear(speakerOf("w1"), heartbeatOf(4), start)
    queue(scheduler, "acme", 1)
    queue(scheduler, "acme", 2)
    assert.strictEqual(scheduler.due(start).length, 1)
    assert.deepInclude(waiting(scheduler, "acme", 2)[0], { reason: "tenant-limit", position: 1 })
  })

  it("waits for the worker that holds its image, be others free", () => {
    const scheduler = schedulerWith()
    scheduler.hear(speakerOf("w2"), heartbeatOf(1), start)
    queue(scheduler, "acme", 1, "upload", { held: heldBy("w1") })
    scheduler.due(start)
    assert.deepInclude(waiting(scheduler, "acme", 1)[0], { reason: "holder", worker: WorkerId.make("w1") })
  })

  it("waits for its account while as much is delivered there as may, and says how much that is", () => {
    const prod = (region: string): Parameters<typeof queue>[4] =>
      ({ held: heldBy("w1"), request: { ...image, targets: [{ type: "aws", region, bucket: "images", credentials: "prod" }] } })
    const scheduler = schedulerWith({}, { aws: { atOnce: 1 } })
    scheduler.hear(speakerOf("w1"), heartbeatOf(4), start)
    queue(scheduler, "acme", 1, "upload", prod("eu-central-1"))
    queue(scheduler, "acme", 2, "upload", prod("eu-central-1"))
    queue(scheduler, "acme", 3, "upload", prod("eu-west-1"))
    assert.deepStrictEqual(scheduler.due(start).map(({ job }) => job.composeId), [composeNo(1), composeNo(3)])
    const [outlook] = waiting(scheduler, "acme", 2)
    assert.deepInclude(outlook, { reason: "target-limit", limit: "aws/eu-central-1/prod", running: 1, atMost: 1, position: 1 })
    Schema.decodeUnknownSync(JobOutlook)(outlook)
  })

  it("waits until the next delivery to its account may begin", () => {
    const scheduler = schedulerWith({}, { oci: { perMinute: 6 } })
    scheduler.hear(speakerOf("w1"), heartbeatOf(4), start)
    for (const compose of [1, 2]) {
      queue(scheduler, "acme", compose, "upload", { request: { ...image, targets: [{ type: "oci", registry: "r.example.org", repository: "images" }] } })
    }
    assert.strictEqual(scheduler.due(start).length, 1)
    assert.deepInclude(waiting(scheduler, "acme", 2)[0], { reason: "target-limit", limit: "oci/r.example.org/", running: 1, until: Millis.make(start + 10 * second) })
    assert.strictEqual(scheduler.due(start + 10 * second).length, 1)
  })

  it("waits for its time when it is to be tried again", () => {
    const scheduler = schedulerWith()
    queue(scheduler, "acme", 1, "build", { attempt: 2, notBefore: Millis.make(start + 30 * second) })
    assert.deepInclude(waiting(scheduler, "acme", 1)[0], { reason: "retry", attempt: 2, until: Millis.make(start + 30 * second) })
    scheduler.due(start + 30 * second)
    assert.deepInclude(waiting(scheduler, "acme", 1)[0], { reason: "worker", since: Millis.make(start + 30 * second) })
  })

  it("is assigned until its worker begins it, and waits for nothing then", () => {
    const scheduler = schedulerWith()
    scheduler.hear(speakerOf("w1"), heartbeatOf(1), start)
    queue(scheduler, "acme", 1)
    scheduler.due(start + second)
    assert.deepInclude(waiting(scheduler, "acme", 1)[0], { reason: "assigned", worker: WorkerId.make("w1"), since: Millis.make(start + second) })
    scheduler.record(recordedFor("acme", 1, startedBy("w1")), start + second)
    assert.deepStrictEqual(waiting(scheduler, "acme", 1), [])
  })

  it("is nobody else's to look at", () => {
    const scheduler = schedulerWith()
    queue(scheduler, "acme", 1)
    assert.deepStrictEqual(waiting(scheduler, "other", 1), [])
    assert.deepStrictEqual(waiting(scheduler, "acme", 2), [])
  })
})

describe("a worker", () => {
  it("is idle, working, draining or silent", () => {
    const scheduler = schedulerWith()
    for (const [name, more] of [["a-idle", {}], ["b-drains", { draining: true }], ["d-works", {}]] as const) {
      scheduler.hear(speakerOf(name), heartbeatOf(1, more), start)
    }
    scheduler.hear(speakerOf("c-silent"), heartbeatOf(1), start - 60 * second)
    queue(scheduler, "acme", 1)
    scheduler.record(recordedFor("acme", 1, startedBy("d-works")), start)
    assert.deepStrictEqual(workersOf(scheduler, start).map(({ state, worker }) => `${worker} ${state}`), [
      "a-idle idle", "b-drains draining", "c-silent silent", "d-works working"
    ])
  })

  it("shows its abilities, its jobs and since when it is there", () => {
    const scheduler = schedulerWith()
    const abilities = { architectures: ["x86_64" as const], slots: { resolve: 0, build: 2, upload: 1 }, distributions: ["debian-13"], imageTypes: ["guest-image"], labels: { rack: "7" } }
    const heartbeat = heartbeatOf(1, { ...abilities, held: [digest], version: "2" })
    scheduler.hear(speakerOf("w1", "acme_default"), heartbeat, start)
    queue(scheduler, "acme", 1)
    queue(scheduler, "acme", 2)
    scheduler.due(start + second)
    scheduler.record({ ...recordedFor("acme", 1, startedBy("w1")), at: Millis.make(start + 2 * second) }, start + 2 * second)
    const { held: _held, ...again } = heartbeat
    scheduler.hear(speakerOf("w1", "acme_default"), again, start + 3 * second)
    const [worker] = workersOf(scheduler, start + 3 * second)
    assert.deepStrictEqual(worker, {
      worker: WorkerId.make("w1"), pools: [PoolId.make("acme"), PoolId.make("default")], state: "working", abilities, version: "2",
      sessionSince: Millis.make(start), heardAt: Millis.make(start + 3 * second), busy: { resolve: 0, build: 2, test: 0, upload: 0, delete: 0 }, held: 1,
      jobs: [
        { tenantId: TenantId.make("acme"), composeId: composeNo(2), jobId: jobs.build, kind: "build", attempt: 1, state: "assigned", since: Millis.make(start + second) },
        { tenantId: TenantId.make("acme"), composeId: composeNo(1), jobId: jobs.build, kind: "build", attempt: 1, state: "running", since: Millis.make(start + 2 * second) }
      ]
    })
    Schema.decodeUnknownSync(WorkerOutlook)(worker)
  })

  it("names the images it holds to whoever asks for it by name", () => {
    const scheduler = schedulerWith()
    scheduler.hear(speakerOf("w1"), heartbeatOf(1, { held: [digest] }), start)
    scheduler.hear(speakerOf("w2"), heartbeatOf(1), start)
    assert.deepStrictEqual(workersOf(scheduler, start, WorkerId.make("w1")).map(({ heldDigests }) => heldDigests), [[digest]])
    assert.deepStrictEqual(workersOf(scheduler, start, WorkerId.make("w3")), [])
  })

  it("is told to remove an image if it is heard and holds it, in each pool that has the name", () => {
    const scheduler = schedulerWith()
    for (const scope of ["default", "acme"]) scheduler.hear(speakerOf("w1", scope), heartbeatOf(1, { held: [digest] }), start)
    scheduler.hear(speakerOf("w1", "other"), heartbeatOf(1), start)
    scheduler.hear(speakerOf("w2"), heartbeatOf(1), start)
    const told = (name: string, now = start) => discardOf(scheduler, now, WorkerId.make(name), digest)
    assert.strictEqual(told("w1").answer, "asked")
    assert.sameDeepMembers([...told("w1").holders], [speakerOf("w1", "default"), speakerOf("w1", "acme")])
    assert.deepStrictEqual([told("w2"), told("w3")], [{ answer: "not-held", holders: [] }, { answer: "not-held", holders: [] }])
    assert.deepStrictEqual(told("w1", start + 60 * second), { answer: "away", holders: [] })
    assert.deepStrictEqual(told("w2", start + 60 * second), { answer: "away", holders: [] })
  })

  it("of which only the log has told is silent and has no abilities", () => {
    const scheduler = schedulerWith()
    queue(scheduler, "acme", 1)
    scheduler.record(recordedFor("acme", 1, startedBy("w9")), start)
    const [worker] = workersOf(scheduler, start)
    assert.deepInclude(worker, { worker: WorkerId.make("w9"), state: "silent", held: 0 })
    assert.notProperty(worker, "abilities")
    assert.strictEqual(worker!.jobs.length, 1)
  })
})

describe("what a pool's queues ask for", () => {
  const longest = (scheduler: Scheduler, now: number) => demandOf(scheduler, 60 * second, now)[0]?.kinds.build.oldestWaitMs
  const asked = (scheduler: Scheduler, tenant: string, compose: number, at: number) =>
    scheduler.record({ ...recordedFor(tenant, compose, queuedAs("build")), at: Millis.make(at) }, at)

  it("is as old as the job that has waited longest, whoever's it is, and no older once that has gone", () => {
    const scheduler = schedulerWith()
    asked(scheduler, "acme", 1, start)
    asked(scheduler, "other", 2, start + second)
    asked(scheduler, "acme", 3, start + 2 * second)
    assert.strictEqual(longest(scheduler, start + 10 * second), 10 * second)
    scheduler.hear(speakerOf("w1"), heartbeatOf(1), start + 10 * second)
    assert.strictEqual(scheduler.due(start + 10 * second)[0]!.job.composeId, composeNo(1))
    assert.strictEqual(longest(scheduler, start + 10 * second), 9 * second)
    scheduler.putBack(scheduler.ofCompose(TenantId.make("acme"), composeNo(1))[0]!, start + 11 * second)
    assert.strictEqual(longest(scheduler, start + 11 * second), 11 * second)
  })

  it("agrees with a look at every job, whatever comes and goes", () => {
    const scheduler = schedulerWith()
    scheduler.hear(speakerOf("w1"), heartbeatOf(1, { slots: { resolve: 1, build: 3, upload: 1 } }), start)
    let seed = 7
    const random = (below: number) => (seed = (seed * 48_271) % 2_147_483_647) % below
    for (let step = 1; step < 2000; step++) {
      const now = start + step
      if (random(3) > 0) asked(scheduler, `t-${random(20)}`, step, now)
      const taken = random(4) === 0 ? scheduler.due(now) : []
      for (const { job } of taken) if (random(3) > 0) scheduler.putBack(job, now)
      const waitingJobs = [...scheduler.jobs.values()].filter((job) => scheduler.queue.has(job))
      const oldest = Math.min(...waitingJobs.map(({ queuedAt }) => queuedAt))
      assert.strictEqual(longest(scheduler, now) ?? 0, waitingJobs.length === 0 ? 0 : now - oldest, `step ${step}`)
    }
  })
})
