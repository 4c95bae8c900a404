/** Attempts that nobody ends: of workers that go on for ever, and of workers that are gone. */
import { assert, layer } from "@effect/vitest"
import { Effect, Queue } from "effect"
import { Millis, PoolId, PoolScope, type ComposeId, type TenantId } from "../../../domain/ids.ts"
import { idleWorker } from "../../support/idle-worker.ts"
import { historyOf, newTenant, requestSimulated, SmallStack, startScheduler, startWorker, stateOf, until } from "../../support/small-stack.ts"

const ended = (tenantId: TenantId, id: ComposeId) => until(stateOf(tenantId, id), ({ status }) => status !== "open")

layer(SmallStack, { excludeTestServices: true })("an attempt that nobody ends", (it) => {
  it.effect("given a worker that is heard and never done, when the deadline is over, then the attempt is ended as timeout, tried once more and failed, and its worker is free", () =>
    Effect.gen(function*() {
      const impatient = yield* startScheduler("test", 30_000, {}, 300)
      yield* startWorker("w1", { abilities: { slots: { resolve: 0, build: 1, upload: 1 } } })
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId, { duration_ms: 60_000 })
      assert.strictEqual((yield* ended(tenantId, id)).status, "failed")
      const failures = (yield* historyOf(tenantId, id)).flatMap((event) => event._tag === "JobFailed" ? [[event.attempt, event.failure.class, event.final]] : [])
      assert.deepStrictEqual(failures, [[1, "timeout", false], [2, "timeout", true]])
      yield* impatient.stop
      yield* startScheduler()
      const next = yield* requestSimulated(tenantId)
      assert.strictEqual((yield* ended(tenantId, next)).status, "succeeded")
    }))

  it.effect("given a pool whose workers may be silent for less long, when they begin a job and fall silent, then it is lost three times and failed, and another pool's is not", () =>
    Effect.gen(function*() {
      const [fragile, patient] = [newTenant(), newTenant()]
      yield* startScheduler("test", 30_000, { pools: { [PoolId.make("fragile")]: { tenant: fragile, lostAfterMs: Millis.make(300) }, [PoolId.make("patient")]: { tenant: patient } } })
      /** Begins whatever it is given and is not heard after that, until it is looked at again. */
      const silent = Effect.fnUntraced(function*(name: string, tenantId: TenantId) {
        const { heartbeat, pull, report, taken } = yield* idleWorker(name, PoolScope.make(name))
        const id = yield* requestSimulated(tenantId)
        const token = (attempt: number) => `${attempt}`.padStart(30, "t")
        const begin = Effect.gen(function*() {
          const { jobs } = yield* stateOf(tenantId, id)
          if ([...jobs.values()].some(({ state }) => state === "queued")) {
            heartbeat()
            pull()
          }
          for (const { attempt, composeId, jobId } of yield* Queue.clear(taken)) {
            report({ _tag: "AttemptStarted", claim: { tenantId, composeId, jobId, attempt, token: token(attempt) } })
          }
        })
        yield* Effect.forkScoped(Effect.forever(Effect.delay(begin, "50 millis")))
        return id
      })
      const waits = yield* silent("patient", patient)
      yield* until(stateOf(patient, waits), ({ jobs }) => [...jobs.values()].some(({ state }) => state === "running"))
      const lost = yield* silent("fragile", fragile)
      assert.strictEqual((yield* ended(fragile, lost)).status, "failed")
      const losses = (yield* historyOf(fragile, lost)).flatMap((event) => event._tag === "JobLost" ? [[event.attempt, event.final]] : [])
      assert.deepStrictEqual(losses, [[1, false], [2, false], [3, true]])
      assert.deepStrictEqual((yield* historyOf(patient, waits)).map(({ _tag }) => _tag), ["ComposeRequested", "JobQueued", "JobStarted"])
    }))
})
