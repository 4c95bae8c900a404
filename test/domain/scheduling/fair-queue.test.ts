import { assert, describe, it } from "@effect/vitest"
import { PoolId, TenantId } from "../../../domain/ids.ts"
import { FairQueue } from "../../../domain/scheduling/fair-queue.ts"
import type { Worker } from "../../../domain/scheduling/fleet.ts"
import type { OpenJob } from "../../../domain/scheduling/open-jobs.ts"
import type { Share } from "../../../domain/scheduling/shares.ts"
import { TargetAccounts } from "../../../domain/scheduling/target-accounts.ts"
import type { TargetLimits } from "../../../domain/target-limits.ts"
import { randomOf } from "../../chaos/random.ts"
import { heldBy, jobOf, numberOf, share, start, workerOf } from "../../support/scheduling.ts"

/** Shares may be changed under the queue, as a policy is. */
const queueOf = (shares: Record<string, Partial<Share>> = {}) => new FairQueue((tenantId) => ({ ...share, ...shares[tenantId] }))
const any = workerOf("w1")
const many = (tenant: string, count: number, more: Parameters<typeof jobOf>[2] = {}, from = 1) =>
  Array.from({ length: count }, (_, at) => jobOf(tenant, from + at, more))
const addAll = (queue: FairQueue, jobs: ReadonlyArray<OpenJob>) => jobs.forEach((job) => queue.add(job))
const take = (queue: FairQueue, count: number, worker: Worker = any): ReadonlyArray<OpenJob> =>
  [...queue.lanes.values()].flatMap((lane) => Array.from({ length: count }, () => queue.take(lane, worker)).filter((job) => job !== undefined))
const names = (jobs: ReadonlyArray<OpenJob>) => jobs.map((job) => `${job.tenantId}/${numberOf(job)}`)
const tenants = (jobs: ReadonlyArray<OpenJob>) => jobs.map(({ tenantId }) => tenantId).join("")

describe("tenants", () => {
  it("take turns, each by its weight", () => {
    const queue = queueOf({ b: { weight: 3 } })
    addAll(queue, [...many("a", 100), ...many("b", 100)])
    const served = tenants(take(queue, 80))
    assert.strictEqual(served.replaceAll("a", "").length, 60)
    // And not first all of the one: any stretch has its share.
    for (let at = 0; at + 8 <= 80; at++) assert.closeTo(served.slice(at, at + 8).replaceAll("a", "").length, 6, 1)
  })
  it("with weights drawn at random never differ by more than a job each from their shares", () => {
    for (let seed = 0; seed < 30; seed++) {
      const random = randomOf(seed)
      const weights = Object.fromEntries(["a", "b", "c", "d"].map((name) => [name, { weight: random.between(1, 10) }]))
      const queue = queueOf(weights)
      for (const name of Object.keys(weights)) addAll(queue, many(name, 300))
      const served = new Map(Object.keys(weights).map((name) => [name, 0]))
      for (const job of take(queue, 250)) {
        served.set(job.tenantId, served.get(job.tenantId)! + 1)
        const shares = [...served].map(([name, count]) => ({ share: count / weights[name]!.weight, step: 1 / weights[name]!.weight }))
        const unfair = shares.some((one) => shares.some((other) => one.share - other.share > one.step + other.step + 1e-9))
        if (unfair) assert.fail(`seed ${seed}: ${JSON.stringify(Object.fromEntries(served))} of ${JSON.stringify(weights)}`)
      }
    }
  })
  it("who come new are next, however many jobs of others wait", () => {
    const queue = queueOf()
    addAll(queue, many("a", 10_000))
    take(queue, 1000)
    queue.add(jobOf("b", 1))
    assert.deepStrictEqual(names(take(queue, 2)), ["b/1", "a/1001"])
  })
  it("who come back have saved nothing up while they were away", () => {
    const queue = queueOf()
    addAll(queue, [...many("a", 50), ...many("b", 1)])
    take(queue, 30)
    addAll(queue, many("b", 10, {}, 2))
    assert.strictEqual(tenants(take(queue, 6)), "bababa")
  })
  it("have their own order: high before normal before low, each the oldest first", () => {
    const queue = queueOf()
    addAll(queue, [...many("a", 2, { priority: "low" }, 1), ...many("a", 2, {}, 3), ...many("a", 2, { priority: "high" }, 5), ...many("b", 3, {}, 7)])
    assert.deepStrictEqual(names(take(queue, 9)), ["a/5", "b/7", "a/6", "b/8", "a/3", "b/9", "a/4", "a/1", "a/2"])
  })
  it("of one pool leave the slots of another alone", () => {
    const queue = queueOf({ b: { pool: PoolId.make("theirs") } })
    addAll(queue, [jobOf("a", 1), jobOf("b", 2)])
    assert.deepStrictEqual([...queue.lanes.values()].map(({ pool, kind, waiting }) => [pool, kind, waiting]), [["default", "build", 1], ["theirs", "build", 1]])
    assert.deepStrictEqual(names(take(queue, 5)), ["a/1", "b/2"])
  })
})

describe("a tenant's limit", () => {
  const a = TenantId.make("a")
  it("parks its jobs, and lets them go on when one ends or the limit is raised", () => {
    const shares: Record<string, Partial<Share>> = { a: { runningJobs: 2 } }
    const queue = queueOf(shares)
    addAll(queue, [...many("a", 10), ...many("b", 3)])
    const begin = (count: number) => {
      const served: Array<OpenJob> = []
      for (let turn = 0; turn < count; turn++) for (const job of take(queue, 1)) {
        queue.occupied(job)
        served.push(job)
      }
      return tenants(served)
    }
    assert.strictEqual(begin(20), "ababb")
    assert.isTrue(queue.isAtLimit(a))
    assert.strictEqual(begin(5), "")
    queue.vacated(jobOf("a", 99))
    assert.strictEqual(begin(5), "a")
    shares["a"] = { runningJobs: 4 }
    queue.freed(a)
    assert.strictEqual(begin(5), "aa")
    assert.strictEqual(queue.taken(a), 4)
  })
  it("of nothing parks them until it is lifted", () => {
    const shares: Record<string, Partial<Share>> = { a: { runningJobs: 0 } }
    const queue = queueOf(shares)
    addAll(queue, many("a", 2))
    assert.deepStrictEqual(take(queue, 2), [])
    delete shares["a"]
    queue.freed(a)
    assert.strictEqual(take(queue, 2).length, 2)
  })
})

describe("a worker that can do only some of it", () => {
  const arm = workerOf("w2", { architectures: ["aarch64"] })
  it("gets the first that it can do", () => {
    const queue = queueOf()
    addAll(queue, [...many("a", 3), jobOf("a", 9, { architecture: "aarch64" }), jobOf("b", 10, { distribution: "debian-12" })])
    assert.deepStrictEqual(names(take(queue, 3, arm)), ["a/9"])
    assert.deepStrictEqual(names(take(queue, 9, workerOf("w3", { distributions: ["debian-13"] }))), ["a/1", "a/2", "a/3"])
    assert.deepStrictEqual(names(take(queue, 9)), ["b/10"])
  })
  it("counts what it takes against its tenant's turn with the others", () => {
    const queue = queueOf()
    addAll(queue, [...many("a", 3), ...many("a", 3, { architecture: "aarch64" }, 11), ...many("b", 3, {}, 21)])
    assert.deepStrictEqual(names(take(queue, 1, arm)), ["a/11"])
    assert.deepStrictEqual(names(take(queue, 2)), ["b/21", "a/1"])
  })
  it("gets what concerns the images it holds, and nobody else does", () => {
    const queue = queueOf()
    addAll(queue, [jobOf("a", 1, { kind: "upload", holder: heldBy("w2") }), jobOf("a", 2, { kind: "upload" })])
    assert.deepStrictEqual(names(take(queue, 5)), ["a/2"])
    assert.deepStrictEqual(names(take(queue, 5, workerOf("w2"))), ["a/1"])
    assert.isTrue([...queue.lanes.values()].every(({ queues }) => [...queues.keys()].every((key) => !key.startsWith("@"))))
  })
})

describe("a job", () => {
  it("that comes back stands where it stood, before all of its tenant that are younger", () => {
    const queue = queueOf()
    addAll(queue, many("a", 3))
    const [first] = take(queue, 2)
    queue.add(first!)
    assert.deepStrictEqual(names(take(queue, 3)), ["a/1", "a/3"])
  })
  it("that is removed is never taken, and comes once if it is added again", () => {
    const queue = queueOf()
    const jobs = many("a", 3)
    addAll(queue, jobs)
    queue.remove(jobs[1]!)
    queue.remove(jobs[1]!)
    assert.strictEqual([...queue.lanes.values()][0]!.waiting, 2)
    queue.remove(jobs[0]!)
    queue.add(jobs[0]!)
    assert.deepStrictEqual(names(take(queue, 5)).sort(), ["a/1", "a/3"])
    assert.isFalse(jobs.some((job) => queue.has(job)))
  })
  it("tells truly how many go before it", () => {
    for (let seed = 0; seed < 50; seed++) {
      const random = randomOf(seed)
      const queue = queueOf({ b: { weight: 2 }, c: { weight: 4 } })
      const jobs = Array.from({ length: 30 }, (_, at) =>
        jobOf(random.pick(["a", "b", "c"]), at, { priority: random.pick(["high", "normal", "low"]) }))
      addAll(queue, jobs)
      take(queue, random.between(0, 10))
      const waiting = jobs.filter((job) => queue.has(job))
      const said = new Map(waiting.map((job) => [job, queue.position(job)]))
      const served = take(queue, 30)
      assert.strictEqual(served.length, waiting.length)
      for (const [at, job] of served.entries()) assert.closeTo(said.get(job)!, at + 1, 2, `seed ${seed}, job ${numberOf(job)}`)
      assert.strictEqual(said.get(served[0]!), 1, `seed ${seed}`)
    }
  })
  it("of a tenant whose pool has changed is astray until it is added again", () => {
    const shares: Record<string, Partial<Share>> = {}
    const queue = queueOf(shares)
    const [first, second] = many("a", 2)
    addAll(queue, [first!, second!])
    shares["a"] = { pool: PoolId.make("theirs") }
    assert.isTrue(queue.isAstray(first!))
    queue.remove(first!)
    queue.add(first!)
    assert.isFalse(queue.isAstray(first!))
    assert.deepStrictEqual([...queue.lanes.values()].map(({ pool, waiting }) => [pool, waiting]), [["default", 1], ["theirs", 1]])
  })
})

describe("counts", () => {
  it("of lanes, needs and tenants are those of the jobs that wait, whatever happens to them", () => {
    for (let seed = 0; seed < 50; seed++) {
      const random = randomOf(seed)
      const shares: Record<string, Partial<Share>> = { b: { weight: 3, runningJobs: 3 } }
      const queue = queueOf(shares)
      const [waiting, taken] = [new Set<OpenJob>(), new Array<OpenJob>()]
      for (let step = 0; step < 300; step++) {
        const what = random.next()
        if (what < 0.45) {
          const job = jobOf(random.pick(["a", "b", "c"]), step, { architecture: random.pick(["x86_64", "aarch64"]), priority: random.pick(["high", "low"]) })
          queue.add(job)
          waiting.add(job)
        } else if (what < 0.7) {
          const [job] = take(queue, 1, random.chance(0.5) ? any : workerOf("w2", { architectures: ["x86_64", "aarch64"] }))
          if (job === undefined) continue
          assert.isTrue(waiting.delete(job), `seed ${seed}: taken, and did not wait`)
          queue.occupied(job)
          taken.push(job)
        } else if (what < 0.8 && taken.length > 0) {
          const [job] = taken.splice(random.between(0, taken.length), 1)
          queue.vacated(job!)
          if (random.chance(0.5)) {
            queue.add(job!)
            waiting.add(job!)
          }
        } else if (waiting.size > 0) {
          const job = random.pick([...waiting])
          queue.remove(job)
          waiting.delete(job)
        }
        const counted = [...queue.lanes.values()].map(({ queues, turns, waiting }) =>
          [waiting, ...[queues, turns].map((of) => [...of.values()].reduce((sum, { waiting }) => sum + waiting, 0))])
        for (const [lane, ...others] of counted) assert.deepStrictEqual(others, [lane, lane], `seed ${seed}, step ${step}`)
        assert.strictEqual(counted.reduce((sum, [lane]) => sum + lane!, 0), waiting.size, `seed ${seed}, step ${step}`)
      }
      for (const job of taken) queue.vacated(job)
      delete shares["b"]
      queue.freed(TenantId.make("b"))
      assert.strictEqual(take(queue, 1000, workerOf("w2", { architectures: ["x86_64", "aarch64"] })).length, waiting.size, `seed ${seed}: some wait for ever`)
    }
  })
})

describe("deliveries to one account", () => {
  const [prague, dublin] = ["aws/eu-central-1/prod", "aws/eu-west-1/prod"]
  const upload = (tenant: string, number: number, target: string) => jobOf(tenant, number, { kind: "upload", target })
  const uploads = (tenant: string, target: string, numbers: ReadonlyArray<number>) => numbers.map((number) => upload(tenant, number, target))
  /** `operators`: whose sets of credentials are an operator's. */
  const limited = (limits: TargetLimits, operators: ReadonlyArray<string> = []) => {
    const queue = new FairQueue(() => share, new TargetAccounts(limits, (set) => operators.includes(set)))
    queue.advance(start)
    return { queue, begin: () => takeAll(queue) }
  }
  const takeAll = (queue: FairQueue) => {
    const taken: Array<OpenJob> = []
    for (let jobs = take(queue, 1); jobs.length > 0; jobs = take(queue, 1)) {
      for (const job of jobs) queue.occupied(job)
      taken.push(...jobs)
    }
    return taken
  }

  it("wait for those that run, and hold up neither another region nor another tenant's account", () => {
    const { begin, queue } = limited({ aws: { atOnce: 2 } })
    addAll(queue, [...uploads("a", prague, [1, 2, 3, 4]), ...uploads("a", dublin, [5]), ...uploads("b", prague, [6]), upload("a", 7, "s3//prod"), jobOf("a", 8)])
    const first = begin()
    assert.sameMembers(names(first), ["a/1", "a/2", "a/5", "b/6", "a/7", "a/8"])
    queue.vacated(first.find((job) => numberOf(job) === 5)!)
    assert.deepStrictEqual(begin(), [])
    queue.vacated(first.find((job) => numberOf(job) === 1)!)
    assert.deepStrictEqual(names(begin()), ["a/3"])
    queue.vacated(first.find((job) => numberOf(job) === 2)!)
    assert.deepStrictEqual(names(begin()), ["a/4"])
  })
  it("by an operator's credentials are counted over all tenants, who take turns", () => {
    const { begin, queue } = limited({ aws: { atOnce: 1 } }, ["prod"])
    addAll(queue, [...uploads("a", prague, [1, 2, 3]), ...uploads("b", prague, [4, 5, 6])])
    const order: Array<OpenJob> = []
    for (let [job] = begin(); job !== undefined; [job] = begin()) {
      order.push(job)
      queue.vacated(job)
    }
    assert.match(tenants(order), /^(ab|ba){3}$/u)
  })
  it("are counted anew when it becomes known that the credentials are an operator's", () => {
    const operators: Array<string> = []
    const { begin, queue } = limited({ aws: { atOnce: 2 } }, operators)
    addAll(queue, [...uploads("a", prague, [1, 2]), ...uploads("b", prague, [3])])
    const first = begin()
    assert.strictEqual(first.length, 3)
    addAll(queue, uploads("b", prague, [4]))
    operators.push("prod")
    queue.recount()
    assert.strictEqual(queue.accountOf(first[0]!)!.taken, 3)
    queue.vacated(first[0]!)
    assert.deepStrictEqual(begin(), [])
    queue.vacated(first[1]!)
    assert.deepStrictEqual(names(begin()), ["b/4"])
  })
  it("begin no faster than they may, and go on by themselves when it is time", () => {
    const { begin, queue } = limited({ aws: { perMinute: 6 } })
    addAll(queue, uploads("a", prague, [1, 2, 3]))
    assert.deepStrictEqual(names(begin()), ["a/1"])
    queue.advance(start + 9_999)
    assert.deepStrictEqual(begin(), [])
    queue.advance(start + 10_000)
    assert.deepStrictEqual(names(begin()), ["a/2"])
    queue.advance(start + 60_000)
    assert.deepStrictEqual(names(begin()), ["a/3"])
  })
  it("are given to whoever holds the image, the first that may", () => {
    const { queue } = limited({ aws: { atOnce: 1 } })
    const held = (number: number, target: string) => jobOf("a", number, { kind: "upload", target, holder: heldBy("w1") })
    addAll(queue, [held(1, prague), held(2, prague), held(3, dublin), held(4, dublin)])
    const first = take(queue, 1)
    queue.occupied(first[0]!)
    const second = take(queue, 1)
    queue.occupied(second[0]!)
    assert.sameMembers(names([...first, ...second]), ["a/1", "a/3"])
    assert.deepStrictEqual(take(queue, 5), [])
    // One of them is canceled while it waits.
    const [canceled] = [...[...queue.lanes.values()][0]!.queues.values()].flatMap(({ lines }) => [...lines.values()]).flatMap(({ jobs }) => [...jobs.normal]).filter((job) => numberOf(job) === 2)
    queue.remove(canceled!)
    for (const job of [...first, ...second]) queue.vacated(job)
    assert.deepStrictEqual(names(take(queue, 5)), ["a/4"])
    assert.deepStrictEqual([...[...queue.lanes.values()][0]!.queues.values()], [])
  })
  it("never run in greater number than may, and all come in the end, whatever happens", () => {
    const places = ["aws/r1/prod", "aws/r2/prod", "aws/r1/own", "gcp/p/prod", "s3//prod"]
    for (let seed = 0; seed < 50; seed++) {
      const random = randomOf(seed)
      const operators = ["prod"]
      const { queue } = limited({ aws: { atOnce: 3 }, gcp: { atOnce: 1, perMinute: 600 } }, operators)
      const [waiting, taken] = [new Set<OpenJob>(), new Array<OpenJob>()]
      let now = start
      const check = (step: number) => {
        const counts = Map.groupBy(taken.filter(({ need }) => !need.target!.startsWith("s3")), ({ need, tenantId }) =>
          operators.some((set) => need.target!.endsWith(`/${set}`)) ? need.target! : `${tenantId} ${need.target}`)
        for (const [key, jobs] of counts) if (jobs.length > (key.includes("gcp") ? 1 : 3)) assert.fail(`seed ${seed}, step ${step}: ${jobs.length} of ${key}`)
      }
      for (let step = 0; step < 300; step++) {
        queue.advance(now += random.between(0, 50))
        const what = random.next()
        if (what < 0.4) {
          const holder = random.chance(0.5) ? { holder: heldBy(random.pick(["w1", "w2"])) } : {}
          const job = jobOf(random.pick(["a", "b", "c"]), step, { kind: "upload", target: random.pick(places), ...holder })
          queue.add(job)
          waiting.add(job)
        } else if (what < 0.75) {
          const [job] = take(queue, 1, random.chance(0.5) ? any : workerOf("w2"))
          if (job === undefined) continue
          assert.isTrue(waiting.delete(job))
          queue.occupied(job)
          taken.push(job)
          check(step)
        } else if (what < 0.9 && taken.length > 0) queue.vacated(taken.splice(random.between(0, taken.length), 1)[0]!)
        else if (what < 0.97 && waiting.size > 0) {
          const job = random.pick([...waiting])
          queue.remove(job)
          waiting.delete(job)
        } else queue.recount()
      }
      for (const job of taken) queue.vacated(job)
      for (let turn = 0; waiting.size > 0; turn++) {
        if (turn > 1000) assert.fail(`seed ${seed}: ${waiting.size} wait for ever`)
        queue.advance(now += 100)
        for (const worker of [any, workerOf("w2")]) for (const job of take(queue, 3, worker)) waiting.delete(job)
      }
    }
  })
})
