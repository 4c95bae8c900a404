import { assert, describe, it } from "@effect/vitest"
import { farthest, placeOf, placeText, reaches } from "../../../../apps/gateway/streams/place.ts"

const logOf = (sealed: ReadonlyArray<string>, ...streams: ReadonlyArray<string>) => ({ streams, isSealed: (stream: string) => sealed.includes(stream) })
const place = (all: Record<string, number>) => new Map(Object.entries(all))

describe("an id of a place in the log", () => {
  it("names each stream with the sequence in it", () => {
    const log = logOf([], "EVENTS-2026-11", "EVENTS")
    assert.strictEqual(placeText(log, place({ EVENTS: 7, "EVENTS-2026-11": 1204 })), "EVENTS-2026-11:1204,EVENTS:7")
    assert.deepStrictEqual(placeOf(log, "EVENTS:7,EVENTS-2026-11:1204"), place({ EVENTS: 7, "EVENTS-2026-11": 1204 }))
  })

  it("leaves out what was sealed, which counts as read to its end by whoever goes on from it", () => {
    const log = logOf(["EVENTS-2026-09"], "EVENTS-2026-09", "EVENTS-2026-10", "EVENTS")
    const text = placeText(log, place({ EVENTS: 7, "EVENTS-2026-09": 99, "EVENTS-2026-10": 3 }))
    assert.strictEqual(text, "EVENTS-2026-10:3,EVENTS:7")
    assert.isTrue(reaches(placeOf(log, text)!, place({ "EVENTS-2026-09": 99 })))
  })

  it("given streams that were made after it, has read nothing of them, be they sealed by now", () => {
    const before = logOf([], "EVENTS-2026-09", "EVENTS")
    const text = placeText(before, place({ EVENTS: 7, "EVENTS-2026-09": 3 }))
    const after = logOf(["EVENTS-2026-09", "EVENTS-2026-10"], "EVENTS-2026-09", "EVENTS-2026-10", "EVENTS-2026-11", "EVENTS")
    assert.deepStrictEqual(placeOf(after, text), place({ EVENTS: 7, "EVENTS-2026-09": 3, "EVENTS-2026-10": 0, "EVENTS-2026-11": 0 }))
  })

  it("given a log that had no periods then, or has sealed all that it had, has read nothing of what was made since", () => {
    const after = logOf(["EVENTS-2026-09"], "EVENTS-2026-09", "EVENTS-2026-10", "EVENTS")
    assert.deepStrictEqual(placeOf(after, placeText(logOf([], "EVENTS"), place({ EVENTS: 7 }))), place({ EVENTS: 7, "EVENTS-2026-09": 0, "EVENTS-2026-10": 0 }))
    const sealed = logOf(["EVENTS-2026-09"], "EVENTS-2026-09", "EVENTS")
    const text = placeText(sealed, place({ EVENTS: 7, "EVENTS-2026-09": 99 }))
    assert.deepStrictEqual([text, placeOf(after, text)], ["EVENTS-2026-09:99,EVENTS:7", place({ EVENTS: 7, "EVENTS-2026-09": 99, "EVENTS-2026-10": 0 })])
  })

  it("is none of another shape, or of a stream that there is not", () => {
    const log = logOf([], "EVENTS")
    assert.deepStrictEqual(["", "7", "EVENTS", "EVENTS:", "EVENTS:-1", "EVENTS:7,", "OTHER:7", "EVENTS:99999999999999999"].map((text) => placeOf(log, text)), Array(8).fill(undefined))
  })
})

describe("two places", () => {
  it("are joined to what has come farthest in each stream", () =>
    assert.deepStrictEqual(farthest(place({ A: 1, B: 9 }), place({ A: 4, B: 2, C: 1 })), place({ A: 4, B: 9, C: 1 })))

  it("reach one another if nothing up to the other is missing", () => {
    assert.isTrue(reaches(place({ A: 4, B: 2 }), place({ A: 4 })))
    assert.isFalse(reaches(place({ A: 4 }), place({ A: 4, B: 1 })))
  })
})
