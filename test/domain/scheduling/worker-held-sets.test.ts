/** Who is given jobs whose targets name credentials that operators have given to workers. */
import { assert, describe, it } from "@effect/vitest"
import type { OfferedSet } from "../../../domain/credential-sets.ts"
import { PoolId, TenantId } from "../../../domain/ids.ts"
import { waitingOf } from "../../../domain/scheduling/job-outlook.ts"
import { Scheduler } from "../../../domain/scheduling/scheduler.ts"
import type { Target } from "../../../domain/target.ts"
import { digest, image } from "../../support/composes.ts"
import { composeNo, heartbeatOf, heldBy, queuedAs, recordedFor, second, share, speakerOf, start } from "../../support/scheduling.ts"

const acme = TenantId.make("acme")
const to = (...sets: ReadonlyArray<string>) =>
  ({ ...image, targets: sets.map((credentials): Target => ({ type: "s3", bucket: "images", credentials })) })
const lab: OfferedSet = { name: "lab", provider: "aws" }
const slots = { build: 5, upload: 5, delete: 5 }

const schedulerOf = (...workers: ReadonlyArray<readonly [name: string, sets: ReadonlyArray<OfferedSet>]>) => {
  const scheduler = new Scheduler({
    shareOf: (tenant) => ({ ...share, pool: PoolId.make(tenant === "beta" ? "other" : "default") }),
    lostAfterMs: () => 30 * second, deadlineMs: () => 3600 * second, now: start
  })
  for (const [name, credentials] of workers) hear(scheduler, name, credentials)
  return scheduler
}
const hear = (scheduler: Scheduler, name: string, credentials: ReadonlyArray<OfferedSet>, at = start, scope = "default") =>
  void scheduler.hear(speakerOf(name, scope), heartbeatOf(slots, { credentials, held: [digest] }), at)
const queue = (scheduler: Scheduler, compose: number, kind: "build" | "upload" | "delete", sets: ReadonlyArray<string>, holder?: string, tenant = "acme") =>
  void scheduler.record(recordedFor(tenant, compose, queuedAs(kind, {
    request: to(...sets), target: 0, ...(holder !== undefined && { held: heldBy(holder) })
  })), start)
const given = (scheduler: Scheduler, at = start) => scheduler.due(at).map(({ speaker }) => speaker.worker as string)

describe("a job whose target names credentials that a worker has", () => {
  it("goes to that worker, as a build, an upload and a removal alike, and to nobody else", () => {
    for (const kind of ["build", "upload", "delete"] as const) {
      const scheduler = schedulerOf(["bare", []], ["keeper", [lab]])
      for (const compose of [1, 2, 3]) queue(scheduler, compose, kind, ["lab"])
      assert.deepStrictEqual(given(scheduler), ["keeper", "keeper", "keeper"], kind)
    }
  })

  it("waits, and says for which, while none that takes work has them all", () => {
    const scheduler = schedulerOf(["bare", []], ["keeper", [lab]], ["other", [{ ...lab, name: "stage" }]])
    queue(scheduler, 1, "build", ["lab", "stage", "own"])
    assert.deepStrictEqual(given(scheduler), [])
    const [outlook] = waitingOf(scheduler, acme, composeNo(1), start)
    assert.deepInclude(outlook, { reason: "worker", sets: ["lab", "stage"] })
    hear(scheduler, "both", [lab, { ...lab, name: "stage" }])
    assert.deepStrictEqual(given(scheduler), ["both"])
  })

  it("goes to anybody where the set is not for its tenant, or only workers of other pools have it", () => {
    const others = schedulerOf(["bare", []], ["keeper", [{ ...lab, tenants: [TenantId.make("beta")] }]])
    const elsewhere = schedulerOf(["bare", []])
    hear(elsewhere, "keeper", [lab], start, "other")
    for (const scheduler of [others, elsewhere]) {
      queue(scheduler, 1, "upload", ["lab"])
      queue(scheduler, 2, "upload", ["lab"])
      assert.include(given(scheduler), "bare")
    }
  })

  it("is bound when a worker is heard of that has it, and no longer when that has not got it any more", () => {
    const scheduler = schedulerOf(["keeper", [lab]])
    hear(scheduler, "bare", [], start)
    scheduler.hear(speakerOf("keeper"), heartbeatOf(slots, { credentials: [lab], draining: true }), start)
    queue(scheduler, 1, "upload", ["lab"])
    assert.deepStrictEqual(given(scheduler), [])
    hear(scheduler, "keeper", [])
    assert.lengthOf(given(scheduler), 1)
  })

  it("given its image on a worker that has not got them, when that was said for long enough, then whoever has them gets it", () => {
    const scheduler = schedulerOf(["holder", []], ["keeper", [lab]])
    queue(scheduler, 1, "upload", ["lab"], "holder")
    assert.deepStrictEqual(given(scheduler), [])
    assert.deepInclude(waitingOf(scheduler, acme, composeNo(1), start)[0], { reason: "worker", sets: ["lab"] })
    const later = start + 121 * second
    for (const [name, sets] of [["holder", []], ["keeper", [lab]]] as const) hear(scheduler, name, sets, later)
    scheduler.rehome(later)
    assert.deepStrictEqual(given(scheduler, later), ["keeper"])
  })
})

describe("a job that was given to a worker without the credentials, which its tenant has not got either", () => {
  const bounced = () => {
    const scheduler = schedulerOf(["keeper", [lab]])
    hear(scheduler, "keeper", [])
    queue(scheduler, 1, "upload", ["lab"])
    const [assignment] = scheduler.due(start)
    return { scheduler, job: assignment!.job }
  }

  it("waits for one that has them where some worker had them before", () => {
    const { job, scheduler } = bounced()
    assert.isTrue(scheduler.putBackLacking(job, ["lab"], start))
    assert.deepStrictEqual(given(scheduler), [])
    hear(scheduler, "second", [lab])
    assert.deepStrictEqual(given(scheduler), ["second"])
  })

  it("goes on when its tenant stores a set", () => {
    const { job, scheduler } = bounced()
    scheduler.putBackLacking(job, ["lab"], start)
    scheduler.setsChanged(acme)
    assert.deepStrictEqual(given(scheduler), ["keeper"])
  })

  it("stays where it is if nobody ever had them: that worker says what is missing", () => {
    const scheduler = schedulerOf(["bare", []])
    queue(scheduler, 1, "upload", ["nowhere"])
    const [assignment] = scheduler.due(start)
    assert.isFalse(scheduler.putBackLacking(assignment!.job, ["nowhere"], start))
    assert.strictEqual(assignment!.job.state, "assigned")
  })
})
