import { assert, describe, it } from "@effect/vitest"
import { PoolId, TenantId } from "../../../domain/ids.ts"
import { canDo, Fleet, load } from "../../../domain/scheduling/fleet.ts"
import { heartbeatOf, heldBy, jobOf, pool, second, speakerOf, start, workerOf } from "../../support/scheduling.ts"

const fleet = (lostAfterMs: (pool: string) => number = () => 30 * second) => new Fleet(lostAfterMs, start)
const later = (seconds: number) => start + seconds * second
const one = speakerOf("w1")

describe("a worker's silence", () => {
  it("makes it lost once it is longer than its pool allows", () => {
    const workers = fleet()
    const heard = workers.hear(one, heartbeatOf(1), start)
    assert.isTrue(workers.isLive(heard, later(30)))
    assert.isFalse(workers.isLost(one, later(30)))
    assert.isFalse(workers.isOpen(heard, later(31)))
    assert.isTrue(workers.isLost(one, later(31)))
  })
  it("does not count from before we listened", () => {
    assert.isFalse(fleet().isLost(one, later(30)))
    assert.isTrue(fleet().isLost(one, later(31)))
  })
  it("may be as long as the strictest of its pools allows", () => {
    const workers = fleet((pool) => pool === "fast" ? 5 * second : 60 * second)
    const both = speakerOf("w1", "fast_slow")
    workers.hear(both, heartbeatOf(1), start)
    assert.isTrue(workers.isLost(both, later(6)))
  })
  it("of long makes us forget it, unless it still holds something", () => {
    const workers = fleet()
    for (const name of ["idle", "busy"]) workers.hear(speakerOf(name), heartbeatOf(1), start)
    workers.occupy(speakerOf("busy"), "build", start)
    assert.deepStrictEqual(workers.forget(later(300)), [])
    assert.deepStrictEqual(workers.forget(later(301)), [speakerOf("idle")])
    assert.deepStrictEqual([...workers.serving(pool)].map(({ speaker }) => speaker.worker as string), ["busy"])
    workers.vacate(speakerOf("busy"), "build", start)
    assert.deepStrictEqual(workers.forget(later(301)), [speakerOf("busy")])
    assert.strictEqual(workers.size, 0)
  })
})

describe("sets of credentials", () => {
  it("are an operator's where some worker has them for that tenant, until it changes them or is gone", () => {
    const workers = fleet()
    const [acme, other] = [TenantId.make("acme"), TenantId.make("other")]
    const known = () => ["prod", "lab"].flatMap((set) => [acme, other].filter((tenant) => workers.offers(set, tenant)).map((tenant) => `${set} ${tenant}`))
    assert.deepStrictEqual(known(), [])
    const credentials = [{ name: "prod", provider: "aws" as const }, { name: "lab", provider: "gcp" as const, tenants: [acme] }]
    workers.hear(one, heartbeatOf(1, { credentials }), start)
    assert.deepStrictEqual(known(), ["prod acme", "prod other", "lab acme"])
    const no = workers.offersNo
    workers.hear(one, heartbeatOf(1, { credentials: structuredClone(credentials) }), start)
    assert.strictEqual(workers.offersNo, no)
    workers.hear(one, heartbeatOf(1, { credentials: credentials.slice(1) }), start)
    assert.deepStrictEqual(known(), ["lab acme"])
    workers.forget(later(301))
    assert.deepStrictEqual(known(), [])
  })
})

describe("a worker", () => {
  it("takes nothing while it drains, and lives on", () => {
    const workers = fleet()
    const heard = workers.hear(one, heartbeatOf(1, { draining: true }), start)
    assert.deepStrictEqual([workers.isLive(heard, start), workers.isOpen(heard, start)], [true, false])
  })
  it("serves all of its pools, and in each the one that got a job last comes last", () => {
    const workers = fleet()
    for (const [name, scope] of [["w1", "a_b"], ["w2", "a"], ["w3", "b"]]) workers.hear(speakerOf(name!, scope), heartbeatOf(1), start)
    const serving = (name: string) => [...workers.serving(PoolId.make(name))].map(({ speaker }) => speaker.worker as string)
    assert.deepStrictEqual([serving("a"), serving("b"), serving("c")], [["w1", "w2"], ["w1", "w3"], []])
    workers.occupy(speakerOf("w1", "a_b"), "build", start)
    assert.deepStrictEqual([serving("a"), serving("b")], [["w2", "w1"], ["w3", "w1"]])
  })
  it("is known by its pools and its name", () => {
    const workers = fleet()
    workers.hear(speakerOf("w1", "a"), heartbeatOf(1), start)
    workers.hear(speakerOf("w1", "b"), heartbeatOf(1, { draining: true }), start)
    assert.strictEqual(workers.size, 2)
    assert.isFalse(workers.named(PoolId.make("a"), one.worker)!.heartbeat!.draining)
    assert.isUndefined(workers.named(PoolId.make("c"), one.worker))
  })
  it("is busy with what was given to it, kind by kind, and idle from the last one's end on", () => {
    const workers = fleet()
    const heard = workers.hear(one, heartbeatOf(2), start)
    workers.occupy(one, "build", start)
    workers.occupy(one, "upload", start)
    assert.deepStrictEqual([heard.busy, load(heard)], [{ resolve: 0, build: 1, test: 0, upload: 1, delete: 0 }, 2])
    workers.vacate(one, "build", later(1))
    workers.vacate(one, "upload", later(2))
    assert.deepStrictEqual([load(heard), heard.idleSince], [0, later(2)])
  })
  it("keeps its images in mind until it tells of others, and its former sessions", () => {
    const workers = fleet()
    const { digest } = heldBy("w1")
    const heard = workers.hear(one, heartbeatOf(1, { held: [digest] }), start)
    workers.hear(one, heartbeatOf(1), start)
    assert.deepStrictEqual([...heard.held], [digest])
    workers.hear(one, heartbeatOf(1, { session: "s2", held: [] }), later(3))
    assert.deepStrictEqual([...heard.held], [])
    assert.strictEqual(heard.firstHeardAt, later(3))
    assert.deepStrictEqual(["s1", "s2", "s3"].map((session) => workers.isOver(one, session)), [true, false, false])
  })
})

describe("abilities", () => {
  const need = (more: Parameters<typeof jobOf>[2] = {}) => jobOf("a", 1, more).need
  it("cover a need when architecture, distribution, image type and slots do", () => {
    assert.isTrue(canDo(workerOf("w1"), need()))
    assert.isFalse(canDo(workerOf("w1", { architectures: ["aarch64"] }), need()))
    assert.isTrue(canDo(workerOf("w1", { distributions: ["debian-13"], imageTypes: ["guest-image"] }), need()))
    assert.isFalse(canDo(workerOf("w1", { distributions: ["debian-12"] }), need()))
    assert.isFalse(canDo(workerOf("w1", { imageTypes: [] }), need()))
    assert.isFalse(canDo(workerOf("w1", heartbeatOf({ upload: 1 })), need()))
  })
  it("to make an image are not asked of who uploads it", () =>
    assert.isTrue(canDo(workerOf("w1", { architectures: ["aarch64"], distributions: [] }), need({ kind: "upload" }))))
})
