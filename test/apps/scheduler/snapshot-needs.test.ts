/** What a job asks of its worker outlives the scheduler that has heard of it. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { encodeSnapshot, loadSnapshot } from "../../../apps/scheduler/snapshot.ts"
import { WorkerId } from "../../../domain/ids.ts"
import { Snapshots } from "../../../domain/ports/snapshots.ts"
import type { OpenJob } from "../../../domain/scheduling/open-jobs.ts"
import { SnapshotsInMemory } from "../../../infra/memory/snapshots.ts"
import { heldBy, jobOf } from "../../support/scheduling.ts"

layer(SnapshotsInMemory)("a snapshot", (it) => {
  it.effect("given jobs that want a worker, avoid one, go to an account, name credentials, or take anybody, then they want the same when it is loaded", () =>
    Effect.gen(function*() {
      const jobs = [jobOf("a", 1), jobOf("a", 2, { avoid: WorkerId.make("w1") }), jobOf("b", 3, { kind: "upload", holder: heldBy("w2") }), jobOf("a", 4),
        jobOf("b", 5, { kind: "upload", holder: heldBy("w2"), target: "aws/eu-central-1/prod" }), jobOf("b", 6, { kind: "upload", target: "oci/r.example.org/" }),
        jobOf("a", 7, { sets: ["prod"] }), jobOf("a", 8, { kind: "delete", sets: ["prod", "stage"] }), jobOf("a", 9)
      ]
      yield* (yield* Snapshots).save("scheduler", encodeSnapshot({ positions: { EVENTS: 7 }, overrides: [] }, jobs))
      const loaded: Array<OpenJob> = []
      assert.isTrue(yield* loadSnapshot("scheduler", () => {}, (page) => void loaded.push(...Array.from({ length: page.size }, (_, at) => page.job(at)))))
      assert.deepStrictEqual(loaded.map(({ need }) => need), jobs.map(({ need }) => need))
    }))
})
