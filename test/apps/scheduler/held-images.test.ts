/** Where an image is when it has to be delivered: with its worker, in the store, or nowhere any more. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { existsSync } from "node:fs"
import { join } from "node:path"
import { JobId, WorkerId, type TenantId, type ComposeId } from "../../../domain/ids.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import { Folder, historyOf, newTenant, requestSimulated, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const [build, upload] = [JobId.make("0-build"), JobId.make("0-upload-0")]
const builds = { abilities: { slots: { resolve: 0, build: 2, upload: 0 } } }
/** Longer than workers are silent between two heartbeats. */
const lostAfterMs = 3500

const built = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ jobs }) => jobs.get(upload)?.state === "queued")
const succeeded = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ status }) => status === "succeeded")
const startsOf = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  return (yield* historyOf(tenantId, id)).flatMap((event) => event._tag === "JobStarted" ? [`${event.jobId} ${event.attempt} ${event.worker}`] : [])
})
const imagesOf = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  return (yield* historyOf(tenantId, id)).flatMap((event) => event._tag === "JobSucceeded" && event.outcome._tag === "Built" ? [event.outcome] : [])
})

layer(SmallStack, { excludeTestServices: true })("an image that its worker holds", (it) => {
  it.effect("given a worker that goes after it has built and comes back in time, then the upload has waited for it and nothing is built twice", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const first = yield* startWorker("w1", builds)
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { bytes: 50_000 })
      yield* built(tenantId, id)
      yield* first.stop
      yield* startWorker("w2")
      // Another's upload is done by it meanwhile.
      const other = yield* requestSimulated(tenantId)
      yield* succeeded(tenantId, other)
      assert.strictEqual((yield* stateOf(tenantId, id)).jobs.get(upload)?.state, "queued")
      yield* startWorker("w1")
      yield* succeeded(tenantId, id)
      assert.deepStrictEqual(yield* startsOf(tenantId, id), [`${build} 1 w1`, `${upload} 1 w1`])
    }))

  it.effect("given a worker that stays away, then an image that lies in the store is taken from there, and one that does not is built again bit for bit", () =>
    Effect.gen(function*() {
      yield* startScheduler("test", lostAfterMs)
      const first = yield* startWorker("w3", builds)
      const tenantId = newTenant()
      const [stored, gone] = [yield* requestSimulated(tenantId, { bytes: 60_000 }), yield* requestSimulated(tenantId, { bytes: 70_000 })]
      yield* Effect.all([built(tenantId, stored), built(tenantId, gone)])
      const { artifact } = (yield* imagesOf(tenantId, stored))[0]!
      const { dir } = yield* Folder
      const { put } = yield* Artifacts
      yield* put(join(dir, "held", "w3", "images", artifact.digest.replace(":", "-")), artifact.digest)
      yield* first.stop
      yield* startWorker("w4")
      yield* Effect.all([succeeded(tenantId, stored), succeeded(tenantId, gone)], { concurrency: 2 })
      assert.deepStrictEqual(yield* startsOf(tenantId, stored), [`${build} 1 w3`, `${upload} 1 w4`])
      assert.deepStrictEqual(yield* startsOf(tenantId, gone), [`${build} 1 w3`, `${upload} 1 w4`, `${build} 2 w4`, `${upload} 2 w4`])
      const tags = (yield* historyOf(tenantId, gone)).map(({ _tag }) => _tag)
      assert.strictEqual(tags.filter((tag) => tag === "ImageGone").length, 1)
      const [before, after] = yield* imagesOf(tenantId, gone)
      assert.deepStrictEqual(after!.artifact, before!.artifact)
      assert.deepStrictEqual([before!.heldBy, after!.heldBy], ["w3", "w4"])
    }))

  it.effect("given that it is discarded before its upload, then the worker has it no more and says so, and it is taken from the store or built again", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const first = yield* startWorker("w5", builds)
      const tenantId = newTenant()
      const [stored, gone] = [yield* requestSimulated(tenantId, { bytes: 80_000 }), yield* requestSimulated(tenantId, { bytes: 90_000 })]
      yield* Effect.all([built(tenantId, stored), built(tenantId, gone)])
      const digests = [(yield* imagesOf(tenantId, stored))[0]!.artifact.digest, (yield* imagesOf(tenantId, gone))[0]!.artifact.digest]
      const { dir } = yield* Folder
      const files = digests.map((digest) => join(dir, "held", "w5", "images", digest.replace(":", "-")))
      yield* (yield* Artifacts).put(files[0]!, digests[0]!)
      const { discard, workers } = yield* Scheduling
      const w5 = WorkerId.make("w5")
      const held = Effect.map(workers(w5), ([worker]) => worker?.heldDigests ?? [])
      yield* until(held, (now) => digests.every((digest) => now.includes(digest)))
      for (const digest of digests) assert.strictEqual(yield* discard(w5, digest), "asked")
      yield* until(held, (now) => now.length === 0)
      assert.deepStrictEqual(files.map((file) => existsSync(file)), [false, false])
      assert.strictEqual(yield* discard(w5, digests[0]!), "not-held")
      yield* first.stop
      yield* startWorker("w5")
      yield* Effect.all([succeeded(tenantId, stored), succeeded(tenantId, gone)], { concurrency: 2 })
      assert.deepStrictEqual(yield* startsOf(tenantId, stored), [`${build} 1 w5`, `${upload} 1 w5`])
      const starts = (yield* startsOf(tenantId, gone)).map((begun) => begun.replace(/ w\d$/, ""))
      assert.deepStrictEqual(starts, [`${build} 1`, `${upload} 1`, `${build} 2`, `${upload} 2`])
    }))
})
