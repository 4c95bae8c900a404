import { assert, describe, it } from "@effect/vitest"
import { Effect, Logger } from "effect"
import { distributionsHere } from "../../../apps/worker/distributions-here.ts"
import type { ImageBuilder } from "../../../domain/ports/image-builder.ts"
import { simulatedBuilder } from "../../../infra/simulated/simulated-builder.ts"

const asked: Array<string> = []
const making = (name: string, ids: ReadonlyArray<string>, missing: Readonly<Record<string, string>> = {}): ImageBuilder => ({
  ...simulatedBuilder, name,
  offers: ids.map((id) => ({ ...simulatedBuilder.offers[0]!, id, builder: name })),
  obstacles: Effect.sync(() => {
    asked.push(name)
    return new Map(Object.entries(missing))
  })
})
const builders = [making("debian", ["debian-12", "debian-13"]), making("mkosi", ["old-1", "new-1"], { "old-1": "mkosi 14 is too old: 24 or later is needed" })]

const heard = () => {
  const lines: Array<string> = []
  return { lines, logger: Logger.layer([Logger.make(({ message }) => void lines.push(JSON.stringify(message)))]) }
}

describe("what a worker offers", () => {
  it.effect("given what stands in the way of a distribution, then it is not offered, and the log says why", () =>
    Effect.gen(function*() {
      const { lines, logger } = heard()
      assert.deepStrictEqual(yield* Effect.provide(distributionsHere(builders), logger), ["debian-12", "debian-13", "new-1"])
      assert.lengthOf(lines, 1)
      assert.match(lines[0]!, /old-1.*mkosi 14 is too old/)
    }))

  it.effect("given a file that names some, then only those are tried and offered", () =>
    Effect.gen(function*() {
      asked.length = 0
      const { lines, logger } = heard()
      assert.deepStrictEqual(yield* Effect.provide(distributionsHere(builders, ["debian-13", "nowhere-7"]), logger), ["debian-13"])
      assert.deepStrictEqual([asked, lines], [["debian"], []])
    }))
})
