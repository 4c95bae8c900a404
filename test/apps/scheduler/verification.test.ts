/** An image is built once more, elsewhere, from what it was built from: from the request to the verdict on the log. */
import { existsSync, readdirSync, writeFileSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { Catalog } from "../../../apps/gateway/catalog.ts"
import { verification } from "../../../apps/gateway/verify.ts"
import { RequestCompose } from "../../../domain/compose-commands.ts"
import type { ImageOptions } from "../../../domain/image-options.ts"
import { ComposeId, JobId, Millis, type TenantId, WorkerId } from "../../../domain/ids.ts"
import { type ImageBuilder, ImageBuilders } from "../../../domain/ports/image-builder.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import { simulatedBuilder, simulatedDistribution } from "../../../infra/simulated/simulated-builder.ts"
import { Folder, newTenant, requestSimulated, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const build = JobId.make("0-build")

const verified = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  const { asked, sealed } = yield* verification(tenantId, id, 0).pipe(Effect.provideService(Catalog, { distributions: [simulatedDistribution] }))
  const composeId = ComposeId.make(v7())
  yield* execute(
    { tenantId, messageId: `request-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } },
    RequestCompose.make({ composeId, request: sealed, ...asked })
  )
  const { outcomes, status } = yield* until(stateOf(tenantId, composeId), ({ status }) => status !== "open")
  const outcome = outcomes.get(build)
  assert.strictEqual(status, "succeeded")
  return outcome?._tag === "Verified" ? outcome : assert.fail(`it ended with ${outcome?._tag}`)
})

const built = Effect.fnUntraced(function*(tenantId: TenantId, options: ImageOptions) {
  const id = yield* requestSimulated(tenantId, options)
  const { outcomes } = yield* until(stateOf(tenantId, id), ({ status }) => status === "succeeded")
  const outcome = outcomes.get(build)
  return outcome?._tag === "Built" ? { id, outcome } : assert.fail("it is not built")
})

const heldBy = Effect.fnUntraced(function*(worker: string) {
  const images = join((yield* Folder).dir, "held", worker, "images")
  return existsSync(images) ? readdirSync(images) : []
})

/** The simulated builder, where a tool has this version. */
const withTool = (version: string) => {
  const build: ImageBuilder["build"] = (manifest, secrets, workspace, report, files) =>
    Effect.map(simulatedBuilder.build(manifest, secrets, workspace, report, files), (file) => {
      const inventory = join(workspace, "inventory.json")
      writeFileSync(inventory, JSON.stringify({ epoch: 1, packages: [], licenses: [], tools: { maker: version, steady: "1" } }))
      return { ...file, inventory }
    })
  return Effect.provideService(ImageBuilders, ImageBuilders.of({ builders: new Map([[simulatedBuilder.name, { ...simulatedBuilder, build }]]) }))
}

layer(SmallStack, { excludeTestServices: true })("a verification", (it) => {
  it.effect("given two workers, then the one that has not built the image builds it again, finds the same bytes, and keeps none of it", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const first = yield* startWorker("w1")
      const tenantId = newTenant()
      const { id, outcome } = yield* built(tenantId, { bytes: 50_000 })
      yield* startWorker("w2")
      const { workers } = yield* Scheduling
      yield* until(workers(WorkerId.make("w2")), ([worker]) => worker !== undefined)
      const { artifact, by, manifest, verdict } = yield* verified(tenantId, id)
      assert.deepStrictEqual([verdict, outcome.heldBy, by], ["identical", "w1", "w2"])
      assert.deepStrictEqual([artifact, manifest], [outcome.artifact, outcome.manifest])
      assert.deepStrictEqual(yield* heldBy("w2"), [])
      yield* first.stop
    }))

  it.effect("given nobody but the worker that has built it, then that one builds it again, although it has it", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w3")
      const tenantId = newTenant()
      const { id } = yield* built(tenantId, { bytes: 60_000 })
      const { by, verdict } = yield* verified(tenantId, id)
      assert.deepStrictEqual([verdict, by], ["identical", "w3"])
    }))

  it.effect("given a build that comes out otherwise each time, then the verdict is that it differs, and the first image stays what it was", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w4")
      const tenantId = newTenant()
      const { id, outcome } = yield* built(tenantId, { bytes: 70_000, varies: true })
      const before = yield* heldBy("w4")
      const { artifact, verdict } = yield* verified(tenantId, id)
      assert.strictEqual(verdict, "different")
      assert.notStrictEqual(artifact.digest, outcome.artifact.digest)
      assert.deepStrictEqual(yield* heldBy("w4"), before)
    }))

  it.effect("given other bytes from a worker whose tools are of other versions, then the verdict says which", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const first = yield* withTool("1.0")(startWorker("w5"))
      const tenantId = newTenant()
      const { id } = yield* built(tenantId, { bytes: 80_000, varies: true })
      yield* first.stop
      yield* withTool("2.0")(startWorker("w6"))
      const { by, note, verdict } = yield* verified(tenantId, id)
      assert.deepStrictEqual([verdict, by], ["different", "w6"])
      assert.match(note ?? "", /other versions of the worker's tools, which may be all the difference: maker 1\.0, now 2\.0$/u)
    }))
})
