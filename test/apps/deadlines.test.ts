import { assert, describe, it } from "@effect/vitest"
import { type Config, ConfigProvider, Effect } from "effect"
import { deadlines, lastDeadlines } from "../../apps/deadlines.ts"

const from = <A>(config: Config.Config<A>, env: Record<string, string>) =>
  config.pipe(Effect.provideService(ConfigProvider.ConfigProvider, ConfigProvider.fromEnv({ env })))
const minute = 60_000

describe("how long a build may take", () => {
  it.effect("given KILN_BUILD_MINUTES, then its worker ends it then, the scheduler two minutes later, and nothing else is changed", () =>
    Effect.gen(function*() {
      const usual = yield* from(deadlines, {})
      assert.deepStrictEqual(yield* from(deadlines, { KILN_BUILD_MINUTES: "7" }), { ...usual, build: 7 * minute })
      assert.strictEqual(usual.build, 60 * minute)
      const last = yield* from(lastDeadlines, { KILN_BUILD_MINUTES: "7" })
      assert.strictEqual(last.build, 9 * minute)
      for (const kind of ["resolve", "test", "upload", "delete"] as const) assert.strictEqual(last[kind] - usual[kind], 2 * minute, kind)
    }))

  for (const wrong of ["0", "1441", "1.5", "an hour"]) {
    it.effect(`given ${wrong} minutes, then that is refused by the variable's name`, () =>
      Effect.gen(function*() {
        assert.include(String(yield* Effect.flip(from(deadlines, { KILN_BUILD_MINUTES: wrong }))), "KILN_BUILD_MINUTES")
      }))
  }
})
