import { assert, describe, it } from "@effect/vitest"
import { JobCanceled, JobSucceeded } from "../../../domain/compose-events.ts"
import type { JobPage } from "../../../domain/scheduling/resting.ts"
import { demandOf } from "../../../domain/scheduling/outlook.ts"
import { Scheduler } from "../../../domain/scheduling/scheduler.ts"
import { TenantId } from "../../../domain/ids.ts"
import { jobs, outcomes } from "../../support/composes.ts"
import { randomOf } from "../../chaos/random.ts"
import { composeNo, heartbeatOf, jobOf, numberOf, pageOf, queuedAs, recordedFor, second, share, speakerOf, start, startedBy } from "../../support/scheduling.ts"

const make = () =>
  new Scheduler({
    shareOf: (tenantId) => tenantId === "b" ? { ...share, weight: 2, runningJobs: 2 } : share, lostAfterMs: () => 30 * second, deadlineMs: () => 3600 * second, now: start
  })
/** What is told of how often a job of it is looked for. */
const counted = (page: JobPage) => {
  const made: Array<string> = []
  return { made, page: { size: page.size, job: (at: number) => (made.push(page.job(at).tenantId), page.job(at)) } }
}
const tenants = ["a", "b", "c"]

describe("jobs that rest", () => {
  it("are counted, and left alone until somebody asks for one of their tenant's", () => {
    const scheduler = make()
    const { made, page } = counted(pageOf([jobOf("a", 1), jobOf("b", 2), jobOf("a", 3)]))
    scheduler.load(page, start)
    made.length = 0
    assert.strictEqual(scheduler.jobs.size, 3)
    assert.strictEqual(demandOf(scheduler, 0, start)[0]!.kinds.build.waiting, 3)
    assert.strictEqual(scheduler.ofCompose(TenantId.make("a"), composeNo(3)).length, 1)
    assert.deepStrictEqual(made.filter((tenant) => tenant === "b"), [])
    assert.strictEqual(scheduler.jobs.size, 3)
  })
  it("of a tenant of very many do not all wait for the first who asks", () => {
    const scheduler = make()
    scheduler.load(pageOf(Array.from({ length: 5001 }, (_, at) => jobOf("a", at + 1))), start)
    assert.strictEqual([...scheduler.jobs.awake()].length, 5000)
  })
  it("whatever comes, go as they would have gone had all been awake from the beginning", () => {
    for (let seed = 0; seed < 100; seed++) {
      const [resting, awake] = [make(), make()]
      const random = randomOf(seed)
      const saved = Array.from({ length: 60 }, (_, at) => ({
        ...jobOf(random.pick(tenants), at + 1, { architecture: random.pick(["x86_64", "aarch64"]), priority: random.pick(["high", "normal", "low"]) }),
        queuedAt: start - random.between(0, 1000), notBefore: random.chance(0.1) ? start + second : 0
      }))
      for (let from = 0; from < saved.length; from += 20) {
        resting.load(pageOf(saved.slice(from, from + 20)), start)
        awake.load(pageOf(saved.slice(from, from + 20)), start)
        for (const tenant of tenants) awake.jobs.wake(TenantId.make(tenant))
      }
      for (let step = 0; step < 40; step++) {
        const now = start + step * 100
        const [what, one, slots] = [random.next(), random.pick(saved), random.between(1, 4)]
        const event = what < 0.2 ? queuedAs() : what < 0.4 ? startedBy("w1") : what < 0.6
          ? JobSucceeded.make({ composeId: one.composeId, jobId: jobs.build, attempt: 1, outcome: outcomes.build })
          : JobCanceled.make({ composeId: one.composeId, jobId: jobs.build, attempt: 1 })
        const decision = recordedFor(one.tenantId, what < 0.2 ? 100 + step : numberOf(one), event)
        const looks = [resting, awake].map((scheduler) => {
          scheduler.hear(speakerOf("w1"), heartbeatOf(slots), now)
          if (what < 0.8) scheduler.record(decision, now)
          const due = what > 0.5 ? scheduler.due(now).map(({ job }) => `${job.tenantId}/${numberOf(job)}`) : []
          const { oldestWaitMs, waiting } = demandOf(scheduler, 0, now)[0]!.kinds.build
          const position = step % 10 === 9 ? scheduler.ofCompose(one.tenantId, one.composeId).map((job) => scheduler.queue.position(job)) : []
          return { due, oldestWaitMs, waiting, position, size: scheduler.jobs.size }
        })
        assert.deepStrictEqual(looks[0], looks[1], `seed ${seed}, step ${step}`)
      }
      const nameOf = ({ composeId, state }: { readonly composeId: string; readonly state: string }) => `${composeId} ${state}`
      assert.sameMembers([...resting.jobs.values()].map(nameOf), [...awake.jobs.values()].map(nameOf), `seed ${seed}`)
    }
  })
})
