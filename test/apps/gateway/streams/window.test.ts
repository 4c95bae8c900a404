import { assert, describe, it } from "@effect/vitest"
import { Window } from "../../../../apps/gateway/streams/window.ts"

const frame = (text: string, size = 10) => ({ text, size })

describe("a window", () => {
  it("given frames within its limit, keeps all of them by their numbers", () => {
    const window = new Window<ReturnType<typeof frame>>(() => 100)
    for (const text of ["a", "b", "c"]) window.push(frame(text))
    assert.deepStrictEqual([0, 1, 2, 3].map((number) => window.at(number)?.text), ["a", "b", "c", undefined])
    assert.deepStrictEqual([window.floor, window.next], [0, 3])
  })

  it("given more than its limit, lets the oldest go, says which, and keeps the numbers of the rest", () => {
    const gone: Array<string> = []
    const window = new Window<ReturnType<typeof frame>>(() => 35, ({ text }) => gone.push(text))
    for (let number = 0; number < 1000; number++) window.push(frame(String(number)))
    assert.deepStrictEqual(gone, Array.from({ length: 997 }, (_, number) => String(number)))
    assert.deepStrictEqual([996, 997, 998, 999, 1000].map((number) => window.at(number)?.text), [undefined, "997", "998", "999", undefined])
    assert.deepStrictEqual([window.floor, window.next], [997, 1000])
  })

  it("keeps the newest, however large", () => {
    const window = new Window<ReturnType<typeof frame>>(() => 35)
    for (const text of ["a", "b"]) window.push(frame(text, 1000))
    assert.deepStrictEqual([window.at(0), window.at(1)?.text], [undefined, "b"])
  })

  it("given a limit that has shrunk, holds to it from the next frame on", () => {
    let limit = 100
    const window = new Window<ReturnType<typeof frame>>(() => limit)
    for (let number = 0; number < 10; number++) window.push(frame(String(number)))
    limit = 20
    window.push(frame("last"))
    assert.deepStrictEqual([window.floor, window.next, window.at(10)?.text], [9, 11, "last"])
  })
})
