/** A compose is canceled wherever it stands: nothing of it goes on, nothing of it is left, and its slots are free. */
import { readdirSync } from "node:fs"
import { join } from "node:path"
import { assert, layer } from "@effect/vitest"
import { Deferred, Effect } from "effect"
import { execute } from "../../../apps/execute.ts"
import { CancelCompose } from "../../../domain/compose-commands.ts"
import { type ComposeId, JobId, Millis, type TenantId } from "../../../domain/ids.ts"
import { Artifacts } from "../../../domain/ports/artifacts.ts"
import { type ImageBuilder, ImageBuilders } from "../../../domain/ports/image-builder.ts"
import { run } from "../../../infra/process/run.ts"
import { simulatedBuilder } from "../../../infra/simulated/simulated-builder.ts"
import { gone } from "../../support/gone.ts"
import { idleWorker } from "../../support/idle-worker.ts"
import { Folder, historyOf, newTenant, requestSimulated, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const [build, upload] = [JobId.make("0-build"), JobId.make("0-upload-0")]
const one = { abilities: { slots: { resolve: 0, build: 1, upload: 1 } } }

const cancel = (tenantId: TenantId, composeId: ComposeId) =>
  execute({ tenantId, messageId: `cancel-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } }, CancelCompose.make({ composeId }))
const tagsOf = (tenantId: TenantId, id: ComposeId) => Effect.map(historyOf(tenantId, id), (events) => events.map(({ _tag }) => _tag))
const stands = (tenantId: TenantId, id: ComposeId, jobId: JobId, state: string) => until(stateOf(tenantId, id), ({ jobs }) => jobs.get(jobId)?.state === state)
const isCanceled = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  const { jobs, status } = yield* stateOf(tenantId, id)
  assert.strictEqual(status, "canceled")
  assert.isTrue([...jobs.values()].every(({ state }) => state !== "queued" && state !== "running"))
})
const isFree = Effect.gen(function*() {
  const tenantId = newTenant()
  const id = yield* requestSimulated(tenantId)
  yield* until(stateOf(tenantId, id), ({ status }) => status === "succeeded")
})

/** Begins a shell with a child and a grandchild that do not listen when they are asked to end, the first time it builds. */
const stubborn = () => {
  const pids: Array<number> = []
  let times = 0
  const builder: ImageBuilder = {
    ...simulatedBuilder,
    build: (manifest, secrets, workspace, report) =>
      times++ > 0 ? simulatedBuilder.build(manifest, secrets, workspace, report) : Effect.andThen(
        run({
          argv: ["bash", "-c", "trap '' TERM; touch left-over; (trap '' TERM; sleep 300 & echo $!; wait) & echo $!; echo $$; wait"], cwd: workspace,
          onLine: (line) => pids.push(Number(line))
        }),
        Effect.never
      )
  }
  return { pids, builders: ImageBuilders.of({ builders: new Map([[builder.name, builder]]) }) }
}

layer(SmallStack, { excludeTestServices: true })("a cancel", (it) => {
  it.effect("given a job that waits for a worker, then it is over and no worker gets it", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId)
      yield* cancel(tenantId, id)
      yield* isCanceled(tenantId, id)
      yield* startWorker("w1", one)
      yield* isFree
      assert.deepStrictEqual(yield* tagsOf(tenantId, id), ["ComposeRequested", "JobQueued", "JobCanceled", "ComposeCanceled"])
    }))

  it.effect("given a job that lies on a worker's queue, then the worker that finds it there may not begin it, and does the next", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const { heartbeat, nc, pull, taken } = yield* idleWorker("w2")
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { duration_ms: 60_000 })
      yield* until(Effect.sync(() => {
        heartbeat()
        pull()
      }).pipe(Effect.andThen(Effect.suspend(() => Effect.succeed(taken.messages.length)))), (count) => count > 0)
      yield* cancel(tenantId, id)
      yield* isCanceled(tenantId, id)
      yield* Effect.promise(() => nc.drain())
      yield* startWorker("w2", one)
      yield* isFree
      assert.deepStrictEqual(yield* tagsOf(tenantId, id), ["ComposeRequested", "JobQueued", "JobCanceled", "ComposeCanceled"])
    }))

  it.effect("given a build with processes that do not listen, then they and its files are gone in time, and the worker is free", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const { builders, pids } = stubborn()
      yield* startWorker("w3", one).pipe(Effect.provideService(ImageBuilders, builders))
      const work = join((yield* Folder).dir, "work", "w3")
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId)
      yield* until(Effect.sync(() => pids.length), (count) => count === 3)
      yield* stands(tenantId, id, build, "running")
      assert.strictEqual(readdirSync(work).length, 1)
      yield* cancel(tenantId, id)
      yield* isCanceled(tenantId, id)
      yield* gone(...pids)
      yield* until(Effect.sync(() => readdirSync(work)), (left) => left.length === 0)
      yield* isFree
      assert.deepStrictEqual(yield* tagsOf(tenantId, id), ["ComposeRequested", "JobQueued", "JobStarted", "JobCanceled", "ComposeCanceled"])
    }))

  it.effect("given an image that is built and not yet delivered, then it is not delivered any more", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("w4", { abilities: { slots: { resolve: 0, build: 1, upload: 0 } } })
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId)
      yield* stands(tenantId, id, upload, "queued")
      yield* cancel(tenantId, id)
      yield* isCanceled(tenantId, id)
      assert.deepStrictEqual((yield* tagsOf(tenantId, id)).slice(-3), ["JobQueued", "JobCanceled", "ComposeCanceled"])
    }))

  it.effect("given an upload that runs, then it is broken off, and its slot is free", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      const real = yield* Artifacts
      const brokenOff = yield* Deferred.make<void>()
      let times = 0
      const slowOnce = Artifacts.of({
        ...real,
        put: (file, digest) => times++ > 0 ? real.put(file, digest) : Effect.onInterrupt(Effect.never, () => Deferred.succeed(brokenOff, undefined))
      })
      yield* startWorker("w5", one).pipe(Effect.provideService(Artifacts, slowOnce))
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { bytes: 123_456 })
      yield* stands(tenantId, id, upload, "running")
      yield* cancel(tenantId, id)
      yield* isCanceled(tenantId, id)
      yield* Deferred.await(brokenOff)
      yield* isFree
      assert.deepStrictEqual((yield* tagsOf(tenantId, id)).slice(-3), ["JobStarted", "JobCanceled", "ComposeCanceled"])
    }))
})
