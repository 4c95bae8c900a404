/** Jobs go only where they can be done, and whoever waits is told for what. */
import { assert, layer } from "@effect/vitest"
import { Effect } from "effect"
import { v7 } from "uuid"
import { execute } from "../../../apps/execute.ts"
import { RequestCompose } from "../../../domain/compose-commands.ts"
import type { ImageRequest } from "../../../domain/compose-request.ts"
import { ComposeId, Millis, PoolId, PoolScope, type TenantId, WorkerId } from "../../../domain/ids.ts"
import { Scheduling } from "../../../domain/ports/scheduling.ts"
import { historyOf, newTenant, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

interface Wish {
  readonly distribution?: string
  readonly architecture?: ImageRequest["architecture"]
  readonly duration_ms?: number
}

const request = Effect.fnUntraced(function*(tenantId: TenantId, { architecture = "x86_64", distribution = "test-distro-1", duration_ms = 0 }: Wish = {}) {
  const composeId = ComposeId.make(v7())
  yield* execute(
    { tenantId, messageId: `request-${composeId}`, at: Millis.make(Date.now()), actor: { kind: "requester", id: "test" } },
    RequestCompose.make({
      composeId, builder: "simulated", resolves: false,
      request: { distribution, images: [{ architecture, type: "simulated", options: { duration_ms } }] }
    })
  )
  return composeId
})

/** Who did its jobs, once it has succeeded. */
const doneBy = Effect.fnUntraced(function*(tenantId: TenantId, id: ComposeId) {
  const { status } = yield* until(stateOf(tenantId, id), ({ status }) => status !== "open")
  assert.strictEqual(status, "succeeded")
  const workers = (yield* historyOf(tenantId, id)).flatMap((event) => event._tag === "JobStarted" ? [event.worker as string] : [])
  return [...new Set(workers)]
})

const seen = (workers: number) =>
  until(Effect.flatMap(Scheduling, (scheduling) => scheduling.workers()).pipe(Effect.orElseSucceed(() => [])),
    (all) => all.filter(({ state }) => state !== "silent").length >= workers)

const waits = (tenantId: TenantId, id: ComposeId, reason: string) =>
  until(Effect.flatMap(Scheduling, (scheduling) => scheduling.waiting(tenantId, id)).pipe(Effect.orElseSucceed(() => [])), ([job]) => job?.reason === reason)

layer(SmallStack, { excludeTestServices: true })("a job's way to a worker", (it) => {
  it.effect("given workers of different architectures and distributions, then each job goes to one that can do it, and one for nobody waits until there is somebody", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("one-x86", { abilities: { architectures: ["x86_64"], distributions: ["test-distro-1"] } })
      yield* startWorker("two-arm", { abilities: { architectures: ["aarch64"], distributions: ["test-distro-2"] } })
      yield* seen(2)
      const tenantId = newTenant()
      const nobodys = yield* request(tenantId, { distribution: "test-distro-2" })
      const jobs = yield* Effect.forEach(Array.from({ length: 8 }, (_, at) => at), (at) =>
        Effect.map(at % 2 === 0 ? request(tenantId) : request(tenantId, { architecture: "aarch64", distribution: "test-distro-2" }), (id) => ({ id, at })))
      for (const { at, id } of jobs) assert.deepStrictEqual(yield* doneBy(tenantId, id), [at % 2 === 0 ? "one-x86" : "two-arm"])
      const [waiting] = yield* waits(tenantId, nobodys, "worker")
      assert.deepInclude(waiting, { pool: PoolId.make("default"), architecture: "x86_64", distribution: "test-distro-2", position: 1 })
      yield* startWorker("three-x86", { abilities: { architectures: ["x86_64"] } })
      assert.deepStrictEqual(yield* doneBy(tenantId, nobodys), ["three-x86"])
    }))

  it.effect("given a pool of one tenant by policy, then it gets that tenant's jobs and nobody else's, wish for it who may", () =>
    Effect.gen(function*() {
      const [gold, other, wisher] = [newTenant(), newTenant(), newTenant()]
      const pool = PoolId.make("gold")
      yield* startScheduler("test", 30_000, { pools: { [pool]: { tenant: gold } }, tenants: { [wisher]: { pool } } })
      yield* startWorker("golden", { scope: PoolScope.make("gold") })
      yield* startWorker("common", {})
      yield* seen(2)
      const ids = yield* Effect.forEach([gold, other, wisher, gold, other, wisher], (tenantId) =>
        Effect.map(request(tenantId), (id) => ({ id, tenantId })))
      for (const { id, tenantId } of ids) assert.deepStrictEqual(yield* doneBy(tenantId, id), [tenantId === gold ? "golden" : "common"])
    }))

  it.effect("given a worker of two pools, then it does the jobs of both", () =>
    Effect.gen(function*() {
      const [mine, other] = [newTenant(), newTenant()]
      yield* startScheduler("test", 30_000, { pools: { [PoolId.make("mine")]: { tenant: mine } } })
      yield* startWorker("both", { scope: PoolScope.make("default_mine") })
      yield* seen(1)
      for (const tenantId of [mine, other]) assert.deepStrictEqual(yield* doneBy(tenantId, yield* request(tenantId)), ["both"])
    }))

  it.effect("given one slot and two jobs, then operators see who does what, and the second is told its place", () =>
    Effect.gen(function*() {
      yield* startScheduler()
      yield* startWorker("single", { abilities: { slots: { resolve: 0, build: 1, upload: 1 }, labels: { rack: "7" } } })
      const tenantId = newTenant()
      const first = yield* request(tenantId, { duration_ms: 60_000 })
      yield* until(stateOf(tenantId, first), ({ jobs }) => [...jobs.values()].some(({ state }) => state === "running"))
      const second = yield* request(tenantId)
      assert.deepInclude((yield* waits(tenantId, second, "slots"))[0], { position: 1, pool: PoolId.make("default") })
      const scheduling = yield* Scheduling
      const [worker] = yield* until(scheduling.workers(WorkerId.make("single")), ([worker]) => worker?.jobs[0]?.state === "running")
      assert.deepInclude(worker, { state: "working", busy: { resolve: 0, build: 1, test: 0, upload: 0, delete: 0 }, version: "test" })
      assert.deepStrictEqual(worker!.abilities?.labels, { rack: "7" })
      assert.deepStrictEqual(worker!.jobs.map(({ composeId, state }) => [composeId, state].join(" ")), [`${first} running`])
      const pools = yield* scheduling.pools
      assert.deepInclude(pools.find(({ pool }) => pool === "default")!.kinds.build, { waiting: 1, busySlots: 1 })
    }))
})
