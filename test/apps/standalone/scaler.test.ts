import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { startStack } from "../../../apps/standalone/stack.ts"
import { temporaryFolder } from "../../support/servers-mode.ts"

describe("a stack with a scaling file", () => {
  it.live("has workers that its scaler has started, let in by a token for the pool", Effect.fnUntraced(function*() {
    const home = yield* temporaryFolder
    const [file, log] = [join(home, "scaling.yaml"), join(home, "workers.log")]
    writeFileSync(file, JSON.stringify({
      lookEverySeconds: 1,
      pools: [{ pool: "default", policy: { min: 2, max: 2, slots: { resolve: 1, build: 1, upload: 1 } }, driver: { type: "process", work: join(home, "scaled"), log } }]
    }))
    const stack = yield* startStack({ home, durable: false, processes: ["scheduler", "projector", "scaler"], env: { KILN_SCALING_FILE: file } })
    assert.isTrue(stack.processes.has("scaler"))
    const working = Effect.sync(() => existsSync(log) ? readFileSync(log, "utf8").split("\n").filter((line) => line.includes("\"working\"")).length : 0)
    assert.strictEqual(yield* working.pipe(Effect.repeat({ until: (count) => count >= 2, schedule: Schedule.spaced("50 millis") })), 2)
  }))
})
