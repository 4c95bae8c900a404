/** All processes and no worker: a request brings workers, its images are built, and the workers go again. */
import { join } from "node:path"
import { existsSync, readFileSync, writeFileSync } from "node:fs"
import { assert, describe, it } from "@effect/vitest"
import { Effect, Schedule } from "effect"
import { startStack } from "../../apps/standalone/stack.ts"
import { temporaryFolder } from "../support/servers-mode.ts"

const image = (duration_ms: number) => ({ architecture: "x86_64", type: "simulated", options: { duration_ms } })

describe("a pool that scales from nothing", () => {
  it.live("builds what is asked for, on as many workers as it may have, and then has none", Effect.fnUntraced(function*() {
    const home = yield* temporaryFolder
    const [file, log] = [join(home, "scaling.yaml"), join(home, "workers.log")]
    writeFileSync(file, JSON.stringify({
      lookEverySeconds: 1,
      pools: [{
        pool: "default", driver: { type: "process", work: join(home, "scaled"), log },
        policy: { min: 0, max: 2, slots: { resolve: 1, build: 1, upload: 1 }, targetWaitSeconds: 1, scaleInAfterSeconds: 3, cooldownSeconds: 1 }
      }]
    }))
    const stack = yield* startStack({
      home, durable: false, processes: ["gateway", "scheduler", "projector", "scaler"], env: { KILN_SCALING_FILE: file, KILN_TEST_DISTRIBUTION: "1" }
    })
    const token = yield* stack.token("default", "requester")
    const api = (path: string, init: RequestInit = {}) => Effect.promise(async () => {
      const answer = await fetch(`${stack.url}/api/kiln/v1${path}`, { ...init, headers: { authorization: `Bearer ${token}`, "content-type": "application/json" } })
      assert.isTrue(answer.ok, await answer.clone().text())
      return await answer.json() as { readonly id: string; readonly status: string }
    })
    const said = (text: string, path: string) =>
      Effect.sync(() => (existsSync(path) ? readFileSync(path, "utf8") : "").split("\n").filter((line) => line.includes(text)).length)
    const begun = said("\"working\"", log)
    const gone = said("a worker is gone", join(home, "logs/scaler.log"))
    const until = <A, E>(look: Effect.Effect<A, E>, holds: (a: A) => boolean) =>
      look.pipe(Effect.repeat({ until: holds, schedule: Schedule.spaced("200 millis") }), Effect.timeout("2 minutes"))

    assert.strictEqual(yield* begun, 0)
    const { id } = yield* api("/composes", { method: "POST", body: JSON.stringify({ distribution: "test-distro-1", images: [image(3000), image(3000), image(3000), image(3000)] }) })
    const { status } = yield* until(api(`/composes/${id}`), (compose) => !["pending", "running"].includes(compose.status))
    assert.strictEqual(status, "succeeded")
    assert.strictEqual(yield* begun, 2)
    yield* until(gone, (count) => count === 2)
  }))
})
