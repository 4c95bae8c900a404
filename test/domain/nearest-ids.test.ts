import { describe, expect, it } from "vitest"
import { nearestIds } from "../../domain/nearest-ids.ts"

describe("ids like one that is not there", () => {
  const ids = ["5f2c9c0e8ab14d77", "5f2caaaaaaaaaaaa", "00219c0e8ab14d77", "d12", "d13"]
  it("are those that begin as it does, or have most of its letters in their places, the likest first", () => {
    expect(nearestIds(ids, "5f2c9c0e8ab14d78")).toEqual(["5f2c9c0e8ab14d77", "00219c0e8ab14d77", "5f2caaaaaaaaaaaa"])
    expect(nearestIds(ids, "5f2c")).toEqual(["5f2c9c0e8ab14d77", "5f2caaaaaaaaaaaa"])
    expect(nearestIds(ids, "d14")).toEqual(["d12", "d13"])
  })
  it("are none where none is like it", () => {
    expect(nearestIds(ids, "7777777777777777")).toEqual([])
  })
})
