import { assert, describe, it } from "@effect/vitest"
import { stepped } from "../../../domain/scaling/memory.ts"
import { busy, calm, demandOf, given, idle, leaving, minute, running, second, start, wanting } from "./pools.ts"

const stays = { _tag: "Stay" } as const

describe("a pool that needs more", () => {
  it("grows to what is wanted at once, to its most and no further", () => {
    assert.deepStrictEqual(given({}).when(demandOf(4)).step, { _tag: "Grow", to: 4 })
    assert.deepStrictEqual(given({}).when(demandOf(40)).step, { _tag: "Grow", to: 10 })
  })

  it("has as many workers as the kind that is worst off needs, by the slots of each", () => {
    const demand = demandOf(2, [], start, { upload: wanting(9), resolve: wanting(3) })
    assert.deepStrictEqual(given({}).when(demand).step, { _tag: "Grow", to: 3 })
  })

  it("ignores a kind that its workers do not take", () =>
    assert.deepStrictEqual(given({ policy: { slots: { resolve: 2, build: 0, upload: 4 } } }).when(demandOf(4)).step, stays))

  it("counts workers that start, and those that somebody else runs", () => {
    const demand = demandOf(4, [busy("by-hand")])
    assert.deepStrictEqual(given({ instances: [running("a", { state: "starting" })] }).when(demand).step, { _tag: "Grow", to: 3 })
    assert.deepStrictEqual(given({ instances: ["a", "b", "c"].map((id) => running(id, { state: "starting" })) }).when(demand).step, stays)
  })

  it("makes up for workers that leave", () =>
    assert.deepStrictEqual(given({ instances: [running("a"), running("b")] }).when(demandOf(2, [leaving("a"), busy("b")])).step, { _tag: "Grow", to: 3 }))

  it("does not count what is on its way out", () =>
    assert.deepStrictEqual(given({ instances: [running("a", { state: "stopping" })] }).when(demandOf(1)).step, { _tag: "Grow", to: 1 }))

  it("waits for the cooldown after a step, unless it has fewer than its least", () => {
    const memory = stepped(calm, start - 59 * second)
    assert.deepStrictEqual(given({ memory }).when(demandOf(4)).step, stays)
    assert.deepStrictEqual(given({ memory, policy: { min: 2 } }).when(demandOf(4)).step, { _tag: "Grow", to: 2 })
    assert.deepStrictEqual(given({ memory: stepped(calm, start - minute) }).when(demandOf(4)).step, { _tag: "Grow", to: 4 })
  })

  it("counts with its own target where it has one and the scheduler says how long jobs take", () => {
    const demand = demandOf(0, [], start, { build: wanting(1, { waiting: 6, meanDurationMs: 60_000 }) })
    assert.strictEqual(given({}).when(demand).wanted, 1)
    assert.strictEqual(given({ policy: { targetWaitSeconds: 120 } }).when(demand).wanted, 2)
    assert.strictEqual(given({ policy: { targetWaitSeconds: 60 } }).when(demand).wanted, 3)
  })
})

describe("a pool that needs fewer", () => {
  const three = [running("a"), running("b"), running("c")]

  it("gives up those that are idle, longest first", () => {
    const demand = demandOf(1, [idle("a", 11 * minute), idle("b", 30 * minute), idle("c", 20 * minute)])
    assert.deepStrictEqual(given({ instances: three }).when(demand).step, { _tag: "Remove", ids: ["b", "c"] })
  })

  it("never gives up who works, leaves, has just begun to idle or has never been heard", () => {
    const demand = demandOf(0, [busy("a"), leaving("b"), idle("c", 59 * second)])
    assert.deepStrictEqual(given({ instances: [...three, running("d")] }).when(demand).step, stays)
    const late = { ...busy("a"), idleSince: idle("a", 30 * minute).idleSince! }
    assert.deepStrictEqual(given({ instances: [running("a")] }).when(demandOf(0, [late])).step, stays)
  })

  it("keeps its least", () => {
    const demand = demandOf(0, three.map(({ id }) => idle(id, 30 * minute)))
    assert.strictEqual((given({ instances: three, policy: { min: 2 } }).when(demand).step as { readonly ids?: ReadonlyArray<string> }).ids?.length, 1)
  })

  it("shrinks to its most by idle workers alone", () => {
    const demand = demandOf(9, [busy("a"), busy("b"), idle("c", 30 * minute)])
    const memory = { ...calm, wanted: [{ at: start - minute, workers: 1 }] }
    assert.deepStrictEqual(given({ instances: three, memory, policy: { max: 1 } }).when(demand).step, { _tag: "Remove", ids: ["c"] })
  })

  it("waits until more has not been wanted for as long as a worker may idle", () => {
    const demand = demandOf(0, three.map(({ id }) => idle(id, 30 * minute)))
    const wanted = (at: number) => ({ ...calm, wanted: [{ at, workers: 3 }] })
    assert.deepStrictEqual(given({ instances: three, memory: wanted(start - 9 * minute) }).when(demand).step, stays)
    assert.strictEqual(given({ instances: three, memory: wanted(start - 10 * minute) }).when(demand).step._tag, "Remove")
  })

  it("waits as long after the scaler was started, which knows nothing yet", () => {
    const demand = demandOf(0, three.map(({ id }) => idle(id, 30 * minute)))
    const memory = { ...calm, heardSince: start - 9 * minute }
    assert.deepStrictEqual(given({ instances: three, memory }).when(demand).step, stays)
  })
})

describe("a pool of which nothing is heard", () => {
  it("keeps its least, lets nobody go, and forgets that it was calm", () => {
    assert.deepStrictEqual(given({ policy: { min: 1 } }).when(undefined).step, { _tag: "Grow", to: 1 })
    const stale = demandOf(0, [idle("a", 30 * minute)], start - 31 * second)
    const plan = given({ instances: [running("a", { protected: true })] }).when(stale)
    assert.deepStrictEqual(plan.step, stays)
    assert.deepStrictEqual(plan.release, [])
    assert.isUndefined(plan.memory.heardSince)
  })
})

describe("a machine whose worker is never heard", () => {
  const silent = (ms: number) => ({ ...calm, silentSince: new Map([["a", start - ms]]) })

  it("is given up after a while, and replaced first where it is needed", () => {
    const instances = [running("a"), running("b")]
    const demand = demandOf(1, [busy("b")])
    assert.deepStrictEqual(given({ instances, memory: silent(14 * minute) }).when(demand).step, stays)
    assert.deepStrictEqual(given({ instances, memory: silent(15 * minute) }).when(demand).step, { _tag: "Remove", ids: ["a"] })
    assert.deepStrictEqual(given({ instances, memory: silent(15 * minute), policy: { min: 2 } }).when(demand).step, { _tag: "Grow", to: 3 })
    assert.deepStrictEqual(given({ instances, memory: silent(15 * minute), policy: { min: 2, max: 2 } }).when(demand).step, stays)
    assert.deepStrictEqual(given({ instances, memory: silent(15 * minute) }).when(demandOf(2, [busy("b")])).step, { _tag: "Grow", to: 3 })
  })

  it("is watched from when it was first seen, and no more once it is heard", () => {
    const first = given({ instances: [running("a")] }).when(demandOf(1))
    assert.deepStrictEqual([...first.memory.silentSince], [["a", start]])
    const second = given({ instances: [running("a")], memory: first.memory }).when(demandOf(1, [busy("a")]))
    assert.strictEqual(second.memory.silentSince.size, 0)
  })
})

describe("protection", () => {
  it("is for who works, and ends only when a worker may go", () => {
    const instances = ["a", "b"].map((id) => running(id, { protected: false })).concat(["c", "d"].map((id) => running(id, { protected: true })))
    const plan = given({ instances }).when(demandOf(4, [busy("a"), idle("b", second), idle("c", second), idle("d", minute)]))
    assert.deepStrictEqual([plan.protect, plan.release], [["a"], ["d"]])
  })

  it("is not asked of a provider that knows none", () =>
    assert.deepStrictEqual(given({ instances: [running("a")] }).when(demandOf(1, [busy("a")])).protect, []))
})
