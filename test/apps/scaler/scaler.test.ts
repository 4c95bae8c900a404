/** The scaler over a real NATS, with processes for workers; what a scheduler would say is said by the test. */
import { assert, layer } from "@effect/vitest"
import { Effect, Exit, Layer, Schedule, Scope } from "effect"
import { randomUUID } from "node:crypto"
import { join } from "node:path"
import { runScaler, type ScalerOptions } from "../../../apps/scaler/scaler.ts"
import { Millis, PoolId } from "../../../domain/ids.ts"
import { Demand } from "../../../domain/ports/demand.ts"
import { ScaleDriver, ScaleFailed } from "../../../domain/ports/scale-driver.ts"
import type { WorkerDemand } from "../../../domain/scaling/demand.ts"
import { DemandJetStream } from "../../../infra/jetstream/demand.ts"
import { LeasesJetStream } from "../../../infra/jetstream/leases.ts"
import { ProcessDriver } from "../../../infra/process/process-driver.ts"
import { busy, demandOf, idle, policy, second } from "../../domain/scaling/pools.ts"
import { TestAccounts } from "../../support/nats-layers.ts"
import { temporaryFolder, TestNats } from "../../support/servers.ts"
import { until } from "../../support/small-stack.ts"

const Stack = Layer.mergeAll(DemandJetStream({ replicas: 1 }), LeasesJetStream({ replicas: 1 })).pipe(
  Layer.provideMerge(TestAccounts), Layer.provideMerge(TestNats.layer)
)

const quick = { ...policy, cooldownSeconds: 1, scaleInAfterSeconds: 1 }

/** A pool of its own with its processes, and the scheduler's voice: `say` goes on until the next one. */
const make = Effect.gen(function*() {
  const pool = PoolId.make(`pool-${randomUUID().slice(0, 8)}`)
  const demand = yield* Demand
  const dir = yield* temporaryFolder
  const context = yield* Layer.build(ProcessDriver(
    { type: "process", work: join(dir, "work"), log: join(dir, "workers.log"), env: {}, graceSeconds: 5 }, { argv: ["sleep", "600"], env: { PATH: process.env["PATH"] } }
  ))
  const driver = yield* Effect.provideContext(ScaleDriver, context)
  let said: () => { readonly builds: number; readonly workers: ReadonlyArray<WorkerDemand> } = () => ({ builds: 0, workers: [] })
  yield* Effect.suspend(() => {
    const { builds, workers } = said()
    return demand.publish({ ...demandOf(builds, workers, Date.now()), pool, at: Millis.make(Date.now()) })
  }).pipe(Effect.repeat(Schedule.spaced("100 millis")), Effect.forkScoped)
  const scaler = (instance: string, over: Partial<ScalerOptions["pools"][number]> = {}) =>
    runScaler({ instance, lookEverySeconds: 0.05, pools: [{ pool, policy: quick, driver: Layer.succeed(ScaleDriver, driver), ...over }] })
  const names = Effect.map(driver.list, (list) => list.map(({ worker }) => worker))
  return { driver, names, pool, say: (next: typeof said) => void (said = next), scaler }
})

layer(Stack, { excludeTestServices: true })("a scaler", (it) => {
  it.effect("makes as many workers as are wanted, and lets the idle ones go when they are not", () =>
    Effect.gen(function*() {
      const { driver, names, say, scaler } = yield* make
      say(() => ({ builds: 3, workers: [] }))
      yield* Effect.forkScoped(scaler("one"))
      const [working, ...others] = yield* until(names, ({ length }) => length === 3)
      const since = Date.now()
      say(() => ({ builds: 1, workers: [busy(working!), ...others.map((name) => idle(name, Date.now() - since, Date.now()))] }))
      yield* until(driver.list, (list) => list.length === 1)
      assert.deepStrictEqual(yield* names, [working])
    }))

  it.effect("keeps the least when no scheduler says anything", () =>
    Effect.gen(function*() {
      const { driver, scaler } = yield* make
      const silent = PoolId.make(`silent-${randomUUID().slice(0, 8)}`)
      yield* Effect.forkScoped(scaler("one", { pool: silent, policy: { ...quick, min: 2 } }))
      yield* until(driver.list, (list) => list.length === 2)
    }))

  it.effect("is the only one to act on a pool; another takes over with the workers that are there", () =>
    Effect.gen(function*() {
      const { driver, say, scaler } = yield* make
      const acted: Array<string> = []
      const seen = (instance: string) => Layer.succeed(ScaleDriver, {
        ...driver, list: Effect.tap(driver.list, () => Effect.sync(() => acted.push(instance)))
      })
      say(() => ({ builds: 2, workers: [] }))
      const scope = yield* Scope.make()
      yield* Effect.forkScoped(scaler("first", { driver: seen("first") })).pipe(Scope.provide(scope))
      yield* until(driver.list, (list) => list.length === 2)
      yield* Effect.forkScoped(scaler("second", { driver: seen("second") }))
      yield* until(Effect.sync(() => acted.length), (count) => count > 40)
      assert.notInclude(acted, "second")
      const before = (yield* driver.list).map(({ id }) => id)
      yield* Scope.close(scope, Exit.void)
      yield* until(Effect.sync(() => acted.filter((instance) => instance === "second").length), (count) => count > 5)
      assert.deepStrictEqual((yield* driver.list).map(({ id }) => id), before)
    }))

  it.effect("goes on when the provider fails, takes the step then, and rests after it", () =>
    Effect.gen(function*() {
      const { driver, say, scaler } = yield* make
      let [refusals, looks] = [3, 0]
      const moody = Layer.succeed(ScaleDriver, {
        ...driver,
        list: Effect.tap(driver.list, () => Effect.sync(() => looks++)),
        grow: (to) => Effect.suspend(() => refusals-- > 0 ? Effect.fail(new ScaleFailed({ driver: "moody", operation: "grow", message: "no room" })) : driver.grow(to))
      })
      say(() => ({ builds: 1, workers: [] }))
      yield* Effect.forkScoped(scaler("one", { driver: moody, policy: { ...quick, cooldownSeconds: 3600 } }))
      yield* until(driver.list, (list) => list.length === 1)
      assert.isBelow(refusals, 0)
      say(() => ({ builds: 3, workers: [] }))
      const seen = looks
      yield* until(Effect.sync(() => looks), (count) => count > seen + 10)
      assert.strictEqual((yield* driver.list).length, 1)
    }))

  it.effect("protects who works, and releases only who may go", () =>
    Effect.gen(function*() {
      const { driver, say, scaler } = yield* make
      const calls: Array<readonly [on: boolean, ...ids: ReadonlyArray<string>]> = []
      const marks = new Set<string>()
      const guarded = Layer.succeed(ScaleDriver, {
        ...driver,
        list: Effect.map(driver.list, (list) => list.map((instance) => ({ ...instance, protected: marks.has(instance.id) }))),
        protect: (ids, on) => Effect.sync(() => {
          calls.push([on, ...ids])
          for (const id of ids) if (on) marks.add(id)
          else marks.delete(id)
        })
      })
      yield* driver.grow(2)
      const [one, two] = (yield* driver.list).map(({ id }) => id)
      say(() => ({ builds: 2, workers: [busy(one!), idle(two!, 0, Date.now())] }))
      yield* Effect.forkScoped(scaler("one", { driver: guarded, policy: { ...quick, min: 2 } }))
      yield* until(Effect.sync(() => calls.length), (count) => count === 1)
      say(() => ({ builds: 2, workers: [idle(one!, 2 * second, Date.now()), idle(two!, 0, Date.now())] }))
      yield* until(Effect.sync(() => calls.length), (count) => count === 2)
      assert.deepStrictEqual(calls, [[true, one!], [false, one!]])
    }))
})
