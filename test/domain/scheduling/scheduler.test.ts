import { assert, describe, it } from "@effect/vitest"
import { ComposeCanceled, type ComposeEvent, JobCanceled, JobFailed, JobLost, JobReturned, JobSucceeded } from "../../../domain/compose-events.ts"
import { Millis, PoolId, TenantId } from "../../../domain/ids.ts"
import { load } from "../../../domain/scheduling/fleet.ts"
import { demandOf } from "../../../domain/scheduling/outlook.ts"
import { Scheduler } from "../../../domain/scheduling/scheduler.ts"
import type { Share } from "../../../domain/scheduling/shares.ts"
import type { Claim, Heartbeat, Lying } from "../../../domain/work.ts"
import { failure, image, jobs, outcomes } from "../../support/composes.ts"
import {
  composeNo, heartbeatOf, heldBy, numberOf, pageOf, queuedAs, recordedFor, second, share, speakerOf, start, startedBy, tokenIn
} from "../../support/scheduling.ts"

const make = (shares: Record<string, Partial<Share>> = {}) =>
  new Scheduler({
    shareOf: (tenantId) => ({ ...share, ...shares[tenantId] }), lostAfterMs: () => 30 * second, deadlineMs: () => 3600 * second, now: start
  })
const later = (seconds: number) => start + seconds * second
const [w1, w2] = [speakerOf("w1"), speakerOf("w2")]
const due = (scheduler: Scheduler, now = start) => scheduler.due(now).map(({ job, speaker }) => `${job.tenantId}/${numberOf(job)} ${speaker.worker}`)
const queueBuilds = (scheduler: Scheduler, tenant: string, count: number, from = 1) => {
  for (let compose = from; compose < from + count; compose++) scheduler.record(recordedFor(tenant, compose, queuedAs()), start)
}
const about = (compose: number, attempt = 1) => ({ composeId: composeNo(compose), jobId: jobs.build, attempt })
const claimOf = (compose: number, session = "s1", attempt = 1): Claim => ({ tenantId: TenantId.make("a"), ...about(compose, attempt), token: tokenIn(session) })
const lyingOf = (scheduler: Scheduler): ReadonlyArray<Lying> =>
  [...scheduler.jobs.values()].filter(({ state }) => state === "assigned").map((job, at) => ({ ...job, speaker: job.speaker!, sequence: at + 1 }))
const isIdle = (scheduler: Scheduler) => [...scheduler.fleet.workers()].every((worker) => load(worker) === 0)

describe("dispatch", () => {
  it("waits for a worker, then gives it as many jobs as it has slots", () => {
    const scheduler = make()
    queueBuilds(scheduler, "a", 5)
    assert.deepStrictEqual(due(scheduler), [])
    scheduler.hear(w1, heartbeatOf({ build: 3 }), start)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1", "a/2 w1", "a/3 w1"])
    assert.deepStrictEqual(due(scheduler), [])
  })
  it("gives a little more where jobs are short, so that a worker never waits for us", () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf({ build: 4 }), start)
    queueBuilds(scheduler, "a", 10)
    due(scheduler)
    scheduler.record(recordedFor("a", 1, startedBy("w1")), start)
    scheduler.record(recordedFor("a", 1, JobSucceeded.make({ ...about(1), outcome: outcomes.build })), start)
    assert.deepStrictEqual(due(scheduler), ["a/5 w1", "a/6 w1"])
  })
  it("spreads jobs over the workers, one each in turn", () => {
    const scheduler = make()
    for (const name of ["w1", "w2", "w3"]) scheduler.hear(speakerOf(name), heartbeatOf({ build: 2 }), start)
    queueBuilds(scheduler, "a", 5)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1", "a/2 w2", "a/3 w3", "a/4 w1", "a/5 w2"])
  })
  it("gives what avoids a worker to another, waits for that one's slot, and takes the avoided one where there is nobody else", () => {
    const scheduler = make()
    const avoiding = queuedAs("build", { avoid: w1.worker })
    scheduler.hear(w1, heartbeatOf({ build: 2 }), start)
    scheduler.hear(w2, heartbeatOf({ build: 1 }), start)
    scheduler.record(recordedFor("a", 1, avoiding), start)
    scheduler.record(recordedFor("a", 2, avoiding), start)
    assert.deepStrictEqual(due(scheduler), ["a/1 w2"])
    // Whoever has gone, or cannot do it, is nobody to wait for.
    scheduler.hear(w2, heartbeatOf({ build: 1 }, { imageTypes: ["wsl"] }), start)
    assert.deepStrictEqual(due(scheduler), ["a/2 w1"])
  })
  it("makes one tenant's first job wait for one slot at most, however many jobs another has", () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf({ build: 3 }), start)
    queueBuilds(scheduler, "a", 10_000)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1", "a/2 w1", "a/3 w1"])
    scheduler.record(recordedFor("b", 20_000, queuedAs()), start)
    scheduler.record(recordedFor("a", 2, startedBy("w1")), start)
    scheduler.record(recordedFor("a", 2, JobFailed.make({ ...about(2), failure, final: true })), start)
    assert.deepStrictEqual(due(scheduler), ["b/20000 w1"])
  })
  it("keeps a tenant within its limit over all workers and kinds of jobs", () => {
    const scheduler = make({ a: { runningJobs: 2 } })
    for (const speaker of [w1, w2]) scheduler.hear(speaker, heartbeatOf(4), start)
    scheduler.record(recordedFor("a", 1, queuedAs("upload")), start)
    queueBuilds(scheduler, "a", 3, 2)
    assert.strictEqual(due(scheduler).length, 2)
    scheduler.record(recordedFor("a", 1, JobCanceled.make({ ...about(1), jobId: jobs.upload }), ComposeCanceled.make({ composeId: composeNo(1) })), start)
    assert.strictEqual(due(scheduler).length, 1)
  })
  it("sends a tenant's jobs to its own pool if it has one, and there only", () => {
    const scheduler = make({ b: { pool: PoolId.make("theirs") } })
    scheduler.hear(w1, heartbeatOf(4), start)
    scheduler.hear(speakerOf("w2", "theirs"), heartbeatOf(4), start)
    queueBuilds(scheduler, "a", 1)
    queueBuilds(scheduler, "b", 1, 2)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1", "b/2 w2"])
  })
  it("holds a job back until its time has come", () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf(1), start)
    scheduler.record(recordedFor("a", 1, queuedAs("build", { attempt: 2, notBefore: Millis.make(later(5)) })), start)
    assert.deepStrictEqual(due(scheduler, later(4)), [])
    assert.deepStrictEqual(due(scheduler, later(5)), ["a/1 w1"])
  })
  it("gives a slot on when a job has ended, was canceled, or was given back, and tells who is to stop", () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf({ build: 1 }), start)
    queueBuilds(scheduler, "a", 3)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    scheduler.record(recordedFor("a", 1, startedBy("w1")), start)
    const stop = scheduler.record(recordedFor("a", 1, JobCanceled.make(about(1)), ComposeCanceled.make({ composeId: composeNo(1) })), start)
    assert.deepStrictEqual(stop.map(({ speaker, token }) => [speaker, token]), [[w1, tokenIn("s1")]])
    assert.deepStrictEqual(due(scheduler), ["a/2 w1"])
    scheduler.record(recordedFor("a", 2, startedBy("w1")), start)
    scheduler.record(recordedFor("a", 2, JobReturned.make(about(2)), queuedAs()), start)
    assert.deepStrictEqual(due(scheduler), ["a/2 w1"])
    assert.deepStrictEqual(scheduler.record(recordedFor("a", 2, JobCanceled.make(about(2))), start), [])
    assert.deepStrictEqual(due(scheduler), ["a/3 w1"])
  })
  it("gives nothing to a worker that drains, is silent, serves another pool or cannot do it", () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf(1, { draining: true }), later(60))
    scheduler.hear(w2, heartbeatOf(1), start)
    scheduler.hear(speakerOf("w3", "other"), heartbeatOf(1), later(60))
    scheduler.hear(speakerOf("w4"), heartbeatOf(1, { architectures: ["aarch64"] }), later(60))
    queueBuilds(scheduler, "a", 1)
    assert.deepStrictEqual(due(scheduler, later(60)), [])
    scheduler.hear(speakerOf("w5"), heartbeatOf(1), later(60))
    assert.deepStrictEqual(due(scheduler, later(60)), ["a/1 w5"])
  })
  it("brings an upload to the worker that holds the image, and to anybody once that is gone", () => {
    const scheduler = make()
    for (const speaker of [w1, w2]) scheduler.hear(speaker, heartbeatOf(1), start)
    for (const compose of [1, 2]) scheduler.record(recordedFor("a", compose, queuedAs("upload", { held: heldBy("w2") })), start)
    assert.deepStrictEqual(due(scheduler), ["a/1 w2"])
    scheduler.hear(w1, heartbeatOf(1), later(31))
    assert.strictEqual(scheduler.rehome(later(30)), 0)
    assert.strictEqual(scheduler.rehome(later(31)), 1)
    assert.deepStrictEqual(due(scheduler, later(31)), ["a/2 w1"])
  })
  it("keeps the order of what waits when its images' holder is gone", () => {
    const scheduler = make()
    for (let compose = 1; compose <= 3; compose++) scheduler.record(recordedFor("a", compose, queuedAs("upload", { held: heldBy("gone") })), start)
    assert.strictEqual(scheduler.rehome(later(31)), 3)
    scheduler.hear(w1, heartbeatOf(3), later(31))
    assert.deepStrictEqual(due(scheduler, later(31)), ["a/1 w1", "a/2 w1", "a/3 w1"])
  })
  it("puts what could not be laid down in front again", () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf(1), start)
    queueBuilds(scheduler, "a", 2)
    const [{ job }] = scheduler.due(start) as [ReturnType<Scheduler["due"]>[number]]
    scheduler.putBack(job, start)
    scheduler.putBack(job, start)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    scheduler.record(recordedFor("a", 1, startedBy("w1")), start)
    scheduler.putBack(job, start)
    assert.deepStrictEqual(due(scheduler), [])
  })
})

describe("a job that is queued again", () => {
  const again = (attempt: number, notBefore = start) => queuedAs("build", { attempt, ...(notBefore > start && { notBefore: Millis.make(notBefore) }) })
  const lost = JobLost.make({ ...about(1), reason: "gone", final: false })
  /** The first job runs, and a hundred of its tenant wait behind it. */
  const running = () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf(1), start)
    queueBuilds(scheduler, "a", 101)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    scheduler.record(recordedFor("a", 1, startedBy("w1")), start)
    return scheduler
  }
  const restarted = (scheduler: Scheduler, now: number) => {
    const after = make()
    after.load(pageOf(scheduler.jobs.values()), now)
    after.hear(w1, heartbeatOf(2), now)
    return after
  }
  const ends: Record<string, readonly [ComposeEvent, ComposeEvent]> = {
    "was lost with its worker": [lost, again(2)],
    "was given back": [JobReturned.make(about(1)), again(1)],
    "has failed and waits for its time": [JobFailed.make({ ...about(1), failure, final: false }), again(2, later(5))]
  }
  for (const [name, events] of Object.entries(ends)) {
    it(`since it ${name} stands where it stood, before all that were asked for later`, () => {
      const scheduler = running()
      scheduler.record(recordedFor("a", 1, ...events), start)
      scheduler.hear(w1, heartbeatOf(2), later(5))
      assert.deepStrictEqual(due(scheduler, later(5)), ["a/1 w1", "a/2 w1"])
    })
    it(`since it ${name} stands there in a scheduler that was restarted, too`, () => {
      const queued = running()
      queued.record(recordedFor("a", 1, ...events), start)
      assert.deepStrictEqual(due(restarted(queued, later(5)), later(5)), ["a/1 w1", "a/2 w1"], "from a snapshot written after it")
      const after = restarted(running(), start)
      after.record(recordedFor("a", 1, ...events), start)
      assert.deepStrictEqual(due(after, later(5)), ["a/1 w1", "a/2 w1"], "from a snapshot written before it")
    })
  }
  it("does not hide how long others have waited", () => {
    const scheduler = running()
    scheduler.record({ ...recordedFor("a", 1, lost, again(2)), at: Millis.make(later(50)) }, later(50))
    scheduler.hear(w1, heartbeatOf({ upload: 1 }), later(60))
    const [first] = demandOf(scheduler, 0, later(60))
    assert.strictEqual(first!.kinds.build.oldestWaitMs, 60 * second)
  })
})

describe("a job on a worker's queue", () => {
  const given = () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf(1), start)
    queueBuilds(scheduler, "a", 1)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    return scheduler
  }
  it("is its worker's own, and nobody else's", () => {
    const scheduler = given()
    assert.isTrue(scheduler.owns(w1, claimOf(1)))
    assert.isFalse(scheduler.owns(w2, claimOf(1)))
    assert.isFalse(scheduler.owns(speakerOf("w1", "other"), claimOf(1)))
    assert.isFalse(scheduler.owns(w1, claimOf(1, "s1", 2)))
    assert.isFalse(scheduler.owns(w1, { ...claimOf(1), tenantId: TenantId.make("b") }))
  })
  it("is taken off when the worker leaves, falls silent or lets it lie", () => {
    const deserted = (heartbeat: Partial<Heartbeat>, now: number, olderThan = start) => {
      const scheduler = given()
      scheduler.hear(w1, heartbeatOf(1, heartbeat), start)
      return scheduler.deserted(olderThan, now).map((job) => `${numberOf(job)} of ${job.speaker!.worker}`)
    }
    assert.deepStrictEqual(deserted({}, start), [])
    assert.deepStrictEqual(deserted({ draining: true }, start), ["1 of w1"])
    assert.deepStrictEqual(deserted({}, later(31)), ["1 of w1"])
    assert.deepStrictEqual(deserted({}, later(16), later(1)), ["1 of w1"])
  })
  it("is taken off where it lies when its worker begins anew", () => {
    const scheduler = given()
    const [job] = [...scheduler.jobs.values()]
    scheduler.laid({ ...job! }, 17)
    scheduler.laid({ ...job!, since: start - 1 }, 18)
    scheduler.hear(w1, heartbeatOf(1, { session: "s2" }), later(1))
    assert.deepStrictEqual(scheduler.deserted(start, later(1)).map(({ sequence }) => sequence), [17])
  })
  it("is its worker's no more once it was put back", () => {
    const scheduler = given()
    scheduler.putBack([...scheduler.jobs.values()][0]!, start)
    assert.isFalse(scheduler.owns(w1, claimOf(1)))
    assert.isTrue(isIdle(scheduler))
  })
  it("that lies on none any more and was begun by nobody waits again", () => {
    const scheduler = given()
    assert.strictEqual(scheduler.recover([], start, start), 0)
    assert.strictEqual(scheduler.recover(lyingOf(scheduler), later(1), later(2)), 0)
    assert.strictEqual(scheduler.recover([], later(1), later(2)), 1)
    assert.deepStrictEqual(due(scheduler, later(2)), ["a/1 w1"])
  })
})

describe("a worker", () => {
  const running = (count = 1) => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf(count), start)
    queueBuilds(scheduler, "a", count)
    scheduler.due(start)
    for (let compose = 1; compose <= count; compose++) scheduler.record(recordedFor("a", compose, startedBy("w1")), start)
    return scheduler
  }
  it("counts as lost after its silence, but not before the scheduler has listened that long", () => {
    const scheduler = running()
    assert.deepStrictEqual(scheduler.lost(later(30)), [])
    assert.deepStrictEqual(scheduler.lost(later(31)).map(({ job }) => job.token), [tokenIn("s1")])
    const restarted = new Scheduler({ shareOf: () => share, lostAfterMs: () => 30 * second, deadlineMs: () => 0, now: later(60) })
    restarted.load(pageOf(scheduler.jobs.values()), later(60))
    assert.deepStrictEqual(restarted.lost(later(90)), [])
    assert.strictEqual(restarted.lost(later(91)).length, 1)
  })
  it("that was restarted holds nothing of its former session", () => {
    const scheduler = running()
    assert.deepStrictEqual(scheduler.orphans(w1, "s1"), [])
    assert.strictEqual(scheduler.orphans(w1, "s2").length, 1)
    assert.deepStrictEqual(scheduler.orphans(speakerOf("w1", "other"), "s2"), [])
  })
  it("loses nothing when it is heard once more that its former session began", () => {
    const scheduler = make()
    scheduler.hear(w1, heartbeatOf(1), start)
    scheduler.hear(w1, heartbeatOf(1, { session: "s2" }), start)
    queueBuilds(scheduler, "a", 1)
    scheduler.due(start)
    scheduler.record(recordedFor("a", 1, startedBy("w1", "build", "s2")), start)
    assert.deepStrictEqual(scheduler.orphans(w1, "s1"), [])
    assert.strictEqual(scheduler.orphans(w1, "s3").length, 1)
  })
  it("that leaves an attempt out again and again does not run it", () => {
    const scheduler = running(2)
    const says = (...claims: ReadonlyArray<Claim>) => scheduler.hear(w1, heartbeatOf(2, { running: claims }), start).map(({ job }) => numberOf(job))
    const other = { ...claimOf(9), token: tokenIn("s1", "other") }
    for (let times = 1; times <= 5; times++) assert.deepStrictEqual(says(other), [])
    assert.deepStrictEqual(says(claimOf(1), other), [])
    const own = running()
    for (let times = 1; times <= 5; times++) assert.deepStrictEqual(own.hear(w1, heartbeatOf(1), start), [])
    assert.deepStrictEqual(own.hear(w1, heartbeatOf(1), start).map(({ job }) => numberOf(job)), [1])
  })
  it("has its attempt ended when that runs longer than any may", () => {
    const scheduler = running()
    assert.deepStrictEqual(scheduler.overdue(later(3600)), [])
    assert.strictEqual(scheduler.overdue(later(3601)).length, 1)
  })
  it("that began a job given to another by now is its worker from then on", () => {
    const scheduler = make()
    for (const speaker of [w1, w2]) scheduler.hear(speaker, heartbeatOf(1), start)
    queueBuilds(scheduler, "a", 1)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    const begun = { ...recordedFor("a", 1, startedBy("w2")), actor: { kind: "worker" as const, id: "default/w2" } }
    scheduler.record(begun, start)
    assert.isTrue(scheduler.owns(w2, claimOf(1)))
    assert.deepStrictEqual([w1, w2].map((speaker) => load(scheduler.fleet.get(speaker)!)), [0, 1])
  })
})

describe("deliveries", () => {
  const delivery = (compose: number, tenant: string) => recordedFor(tenant, compose, queuedAs("upload", {
    request: { ...image, targets: [{ type: "aws", region: "eu-central-1", bucket: "images", credentials: "prod" }] }
  }))
  const offering = heartbeatOf(9, { credentials: [{ name: "prod", provider: "aws" }] })
  it("to an operator's account are no more than may be, also after a restart that knows whose it is only later", () => {
    const config = { shareOf: () => share, lostAfterMs: () => 30 * second, deadlineMs: () => 3600 * second, now: start, limits: { aws: { atOnce: 2 } } }
    const scheduler = new Scheduler(config)
    scheduler.hear(w1, offering, start)
    for (const [at, tenant] of ["a", "b", "c"].entries()) scheduler.record(delivery(at + 1, tenant), start)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1", "b/2 w1"])
    for (const [at, tenant] of ["a", "b"].entries()) scheduler.record(recordedFor(tenant, at + 1, startedBy("w1", "upload")), start)
    const restarted = new Scheduler(config)
    restarted.load(pageOf(scheduler.jobs.values()), start)
    restarted.hear(w1, offering, start)
    assert.deepStrictEqual(due(restarted), [])
    restarted.record(recordedFor("a", 1, JobFailed.make({ composeId: composeNo(1), jobId: jobs.upload, attempt: 1, failure, final: true })), start)
    assert.deepStrictEqual(due(restarted), ["c/3 w1"])
  })
  it("that are lost, given back or canceled make room", () => {
    const scheduler = new Scheduler({ shareOf: () => share, lostAfterMs: () => 30 * second, deadlineMs: () => 3600 * second, now: start, limits: { aws: { atOnce: 1 } } })
    scheduler.hear(w1, heartbeatOf(9), start)
    const of = (compose: number) => ({ composeId: composeNo(compose), jobId: jobs.upload, attempt: 1 })
    for (const compose of [1, 2, 3, 4]) scheduler.record(delivery(compose, "a"), start)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    scheduler.putBack(scheduler.ofCompose(TenantId.make("a"), composeNo(1))[0]!, start)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    scheduler.record(recordedFor("a", 1, startedBy("w1", "upload")), start)
    scheduler.record(recordedFor("a", 1, JobCanceled.make(of(1))), start)
    assert.deepStrictEqual(due(scheduler), ["a/2 w1"])
    scheduler.record(recordedFor("a", 2, startedBy("w1", "upload")), start)
    scheduler.record(recordedFor("a", 2, JobLost.make({ ...of(2), reason: "silence", final: true })), start)
    assert.deepStrictEqual(due(scheduler), ["a/3 w1"])
  })
})

describe("a tenant's policy", () => {
  it("takes effect at once on what waits, in the order in which it waited", () => {
    const shares: Record<string, Partial<Share>> = { a: { runningJobs: 1 } }
    const scheduler = make(shares)
    scheduler.hear(w1, heartbeatOf(9), start)
    scheduler.hear(speakerOf("w2", "theirs"), heartbeatOf(9), start)
    queueBuilds(scheduler, "a", 4)
    assert.deepStrictEqual(due(scheduler), ["a/1 w1"])
    shares["a"] = { runningJobs: 2 }
    scheduler.policyChanged(TenantId.make("a"))
    assert.deepStrictEqual(due(scheduler), ["a/2 w1"])
    shares["a"] = { pool: PoolId.make("theirs") }
    scheduler.policyChanged(TenantId.make("a"))
    assert.deepStrictEqual(due(scheduler), ["a/3 w2", "a/4 w2"])
  })
})

describe("a restart", () => {
  it("knows what lies on the queues, what runs, and what has to be dispatched", () => {
    const before = make()
    before.hear(w1, heartbeatOf(2), start)
    queueBuilds(before, "a", 3)
    before.due(start)
    before.record(recordedFor("a", 1, startedBy("w1")), start)
    const after = make()
    after.load(pageOf(before.jobs.values()), start)
    after.settle(lyingOf(before), start)
    assert.isTrue(after.owns(w1, claimOf(2)))
    after.hear(w1, heartbeatOf(3), start)
    assert.deepStrictEqual(due(after), ["a/3 w1"])
  })
  it("finds every job in a snapshot that was written while others came and went", () => {
    const before = make()
    const two = [queuedAs("build"), queuedAs("upload")] as const
    for (const compose of [1, 2]) before.record(recordedFor("a", compose, ...two), start)
    const written = new Map<string, number>()
    for (const job of before.jobs.values()) {
      const name = `${numberOf(job)}/${job.jobId}`
      written.set(name, (written.get(name) ?? 0) + 1)
      if (written.size === 1) before.record(recordedFor("a", 1, JobSucceeded.make({ ...about(1), outcome: outcomes.build })), start)
    }
    assert.sameMembers([...written.keys()], ["1/0-build", "1/0-upload-0", "2/0-build", "2/0-upload-0"])
    // Twice is as good as once.
    const after = make()
    for (let times = 1; times <= 2; times++) after.load(pageOf(before.jobs.values()), start)
    after.hear(w1, heartbeatOf(9), start)
    assert.strictEqual(due(after).length, before.jobs.size)
    assert.strictEqual(after.jobs.size, before.jobs.size)
  })
  it("reads decisions once more that its snapshot has taken in, and is none the worse for it", () => {
    const decisions = [1, 2, 3].flatMap((compose) => [recordedFor("a", compose, queuedAs()), recordedFor("a", compose, startedBy("w1"))])
    decisions.push(recordedFor("a", 1, JobSucceeded.make({ ...about(1), outcome: outcomes.build })), recordedFor("a", 2, JobReturned.make(about(2)), queuedAs()))
    const told = (scheduler: Scheduler, from: number) => {
      for (const decision of decisions.slice(from)) scheduler.record(decision, start)
      return [...scheduler.jobs.values()].map(({ composeId, state, token, revision }) => ({ composeId, state, token, revision }))
    }
    const expected = told(make(), 0)
    assert.deepStrictEqual(expected.map(({ state }) => state), ["running", "ready"])
    for (let taken = 0; taken <= decisions.length; taken++) for (let from = 0; from <= taken; from++) {
      const before = make()
      for (const decision of decisions.slice(0, taken)) before.record(decision, start)
      const after = make()
      after.load(pageOf(before.jobs.values()), start)
      assert.sameDeepMembers(told(after, from), expected, `${taken} in the snapshot, read from ${from}`)
    }
  })
})
