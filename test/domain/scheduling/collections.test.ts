import { assert, describe, it } from "@effect/vitest"
import { Fifo } from "../../../domain/scheduling/fifo.ts"
import { Heap } from "../../../domain/scheduling/heap.ts"
import { randomOf } from "../../chaos/random.ts"

const seeds = Array.from({ length: 50 }, (_, seed) => seed)

describe("a queue", () => {
  it("behaves as an array does, whatever is done to it", () => {
    for (const seed of seeds) {
      const random = randomOf(seed)
      const [fifo, model] = [new Fifo<number>(), new Array<number>()]
      for (let step = 0; step < 500; step++) {
        // More goes in at first and more comes out later, so that it grows, moves its entries and empties.
        const goesIn = random.chance(step < 250 ? 0.7 : 0.35)
        if (goesIn && random.chance(0.8)) model[fifo.push(step) ?? model.length] = step
        else if (goesIn) model.unshift(fifo.unshift(step) ?? step)
        else if (fifo.shift() !== model.shift()) assert.fail(`seed ${seed}, step ${step}`)
        if (fifo.size !== model.length || fifo.peek() !== model[0]) assert.fail(`seed ${seed}, step ${step}: ${[...fifo]} and not ${model}`)
      }
      assert.deepStrictEqual([...fifo], model, `seed ${seed}`)
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
