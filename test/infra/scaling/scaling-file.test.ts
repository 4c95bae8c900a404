import { assert, describe, it } from "@effect/vitest"
import { Effect } from "effect"
import { readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { readScalingFile } from "../../../infra/scaling/scaling-file.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"

const read = (text: string) =>
  Effect.gen(function*() {
    const path = join(yield* temporaryFolder, "scaling.yaml")
    writeFileSync(path, text)
    return yield* readScalingFile(path)
  })

const pool = (name: string, driver: string, policy = "{ min: 0, max: 4, slots: { resolve: 2, build: 1, upload: 4 } }") =>
  `  - pool: ${name}\n    policy: ${policy}\n    driver: ${driver}\n`
const aws = "{ type: aws, group: builders, region: eu-central-1 }"
const why = (text: string) => Effect.map(Effect.flip(read(text)), ({ message }) => message)

describe("a scaling file", () => {
  it.effect("names pools and their drivers, and need not say what is usual", () =>
    Effect.gen(function*() {
      const { lookEverySeconds, pools } = yield* read([
        "pools:", pool("one", aws), pool("two", "{ type: gcp, project: p, zone: z, group: g }"), pool("three", "{ type: gcp, project: p, region: r, group: g }"),
        pool("four", "{ type: azure, subscription: s, resourceGroup: r, scaleSet: v }"), pool("five", "{ type: process, work: /w, log: /l }")
      ].join("\n"))
      assert.strictEqual(lookEverySeconds, 5)
      assert.deepStrictEqual(pools.map(({ driver }) => driver.type), ["aws", "gcp", "gcp", "azure", "process"])
      const { cooldownSeconds, scaleInAfterSeconds, startWithinSeconds } = pools[0].policy
      assert.deepStrictEqual([cooldownSeconds, scaleInAfterSeconds, startWithinSeconds], [60, 600, 900])
    }))

  it.effect("is what the documents show", () =>
    Effect.gen(function*() {
      const [, shown] = /```yaml\n(lookEverySeconds[^]*?)```/.exec(readFileSync(join(import.meta.dirname, "../../../docs/configuration.md"), "utf8")) ?? []
      assert.strictEqual((yield* read(shown!)).pools.length, 4)
    }))

  it.effect("may be JSON", () =>
    Effect.gen(function*() {
      const policy = { min: 1, max: 2, slots: { resolve: 1, build: 1, upload: 1 }, targetWaitSeconds: 30, cooldownSeconds: 5 }
      const { pools } = yield* read(JSON.stringify({ lookEverySeconds: 1, pools: [{ pool: "one", policy, driver: { type: "aws", group: "g", region: "r" } }] }))
      assert.strictEqual(pools[0].policy.targetWaitSeconds, 30)
    }))

  it.effect("is refused with what is wrong in it", () =>
    Effect.gen(function*() {
      assert.include(yield* why("pools: []"), "pools")
      assert.include(yield* why(`pools:\n${pool("one", aws)}${pool("one", aws)}`), "pool one is there twice")
      assert.include(yield* why(`pools:\n${pool("one", aws, "{ min: 3, max: 2, slots: { resolve: 1, build: 1, upload: 1 } }")}`), "min is 3, and max is only 2")
      assert.include(yield* why(`pools:\n${pool("one", aws, "{ min: 0, max: 2, maxx: 9, slots: { resolve: 1, build: 1, upload: 1 } }")}`), "maxx")
      assert.include(yield* why(`pools:\n${pool("one", "{ type: gcp, project: p, group: g }")}`), "say one of the two")
      assert.include(yield* why(`pools:\n${pool("one", "{ type: abacus }")}`), "driver")
      assert.include(yield* why("pools: ["), "neither JSON nor YAML")
    }))

  it.effect("is refused where it cannot be read", () =>
    Effect.gen(function*() {
      assert.include((yield* Effect.flip(readScalingFile("/nowhere/scaling.yaml"))).message, "cannot be read")
    }))
})
