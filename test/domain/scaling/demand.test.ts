import { assert, describe, it } from "@effect/vitest"
import { type Load, wantedSlots } from "../../../domain/scaling/demand.ts"
import { randomOf } from "../../chaos/random.ts"

const load: Load = { waiting: 0, busySlots: 0, oldestWaitMs: 0, meanDurationMs: 60_000, targetWaitMs: 60_000 }

describe("wanted slots", () => {
  it("are none where nothing waits and nothing runs", () => assert.strictEqual(wantedSlots(load), 0))

  it("are those that work where nothing waits: the load keeps coming", () =>
    assert.strictEqual(wantedSlots({ ...load, busySlots: 7 }), 7))

  it("count on every slot to take another job within the time that is left", () =>
    assert.strictEqual(wantedSlots({ ...load, waiting: 10 }), 5))

  it("are one a job where jobs take far longer than anybody may wait", () =>
    assert.strictEqual(wantedSlots({ ...load, waiting: 10, busySlots: 4, meanDurationMs: 3_600_000 }), 14))

  it("are one a job once the oldest has waited too long", () =>
    assert.strictEqual(wantedSlots({ ...load, waiting: 10, busySlots: 2, oldestWaitMs: 90_000 }), 12))

  it("are one a job where nobody knows how long jobs take", () =>
    assert.strictEqual(wantedSlots({ ...load, waiting: 3, meanDurationMs: 0 }), 3))

  it("are at least one for a single short job", () =>
    assert.strictEqual(wantedSlots({ ...load, waiting: 1, meanDurationMs: 100 }), 1))

  it("let all that wait begin in time, and one fewer would not", () => {
    const random = randomOf(7)
    for (let run = 0; run < 2000; run++) {
      const one: Load = {
        waiting: random.between(1, 200), busySlots: random.between(0, 50), oldestWaitMs: random.between(0, 90_000),
        meanDurationMs: random.between(1000, 600_000), targetWaitMs: 60_000
      }
      const begun = (slots: number) => slots - one.busySlots + slots * Math.max(0, one.targetWaitMs - one.oldestWaitMs) / one.meanDurationMs
      const wanted = wantedSlots(one)
      assert.isAtLeast(begun(wanted), one.waiting - 1e-6, JSON.stringify(one))
      assert.isTrue(wanted === one.busySlots || begun(wanted - 1) < one.waiting, JSON.stringify(one))
    }
  })
})
