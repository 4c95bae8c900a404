import { assert, describe, it } from "@effect/vitest"
import { Heap } from "../../../domain/scheduling/heap.ts"
import { Waiting } from "../../../domain/scheduling/waiting.ts"
import { randomOf } from "../../chaos/random.ts"

const seeds = Array.from({ length: 50 }, (_, seed) => seed)

describe("what waits", () => {
  it("is in order, equals as they came, whatever comes and goes", () => {
    for (const seed of seeds) {
      const random = randomOf(seed)
      const waiting = new Waiting<{ key: number; step: number }>((one, other) => one.key < other.key)
      const model = new Array<{ key: number; step: number }>()
      for (let step = 0; step < 500; step++) {
        // More goes in at first and more comes out later, so that it grows, moves its entries and empties; most are the last.
        if (random.chance(step < 250 ? 0.7 : 0.35)) {
          const item = { key: random.chance(0.7) ? step : random.between(0, step + 1), step }
          const at = model.findIndex(({ key }) => key > item.key)
          model.splice(at < 0 ? model.length : at, 0, item)
          waiting.add(item)
        } else if (waiting.shift() !== model.shift()) assert.fail(`seed ${seed}, step ${step}`)
        if (waiting.size !== model.length || waiting.peek() !== model[0]) assert.fail(`seed ${seed}, step ${step}: ${[...waiting]} and not ${model}`)
      }
      assert.deepStrictEqual([...waiting], model, `seed ${seed}`)
    }
  })
})

describe("a heap", () => {
  it("has the smallest first, also when that one's place has changed", () => {
    for (const seed of seeds) {
      const random = randomOf(seed)
      const heap = new Heap<{ key: number }>((one, other) => one.key < other.key)
      let model: Array<{ key: number }> = []
      const smallest = () => Math.min(...model.map(({ key }) => key))
      for (let step = 0; step < 300; step++) {
        const what = random.next()
        if (what < 0.5) {
          const item = { key: random.between(0, 50) }
          heap.push(item)
          model.push(item)
        } else if (what < 0.75) {
          const expected = smallest()
          const item = heap.pop()
          assert.strictEqual(item?.key ?? Infinity, expected, `seed ${seed}, step ${step}`)
          model = model.filter((other) => other !== item)
        } else if (model.length > 0) {
          heap.peek()!.key += random.between(0, 40)
          heap.settle()
        }
        if (heap.size !== model.length || (heap.peek()?.key ?? Infinity) !== smallest()) assert.fail(`seed ${seed}, step ${step}`)
      }
      assert.strictEqual(new Set(heap).symmetricDifference(new Set(model)).size, 0)
    }
  })
})
