import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { v7 } from "uuid"
import { runProjector } from "../../../apps/projector/projector.ts"
import { rebuild } from "../../../apps/projector/rebuild.ts"
import { rebuildPast, rebuildTenant } from "../../../apps/projector/replay-part.ts"
import { verifyLog } from "../../../apps/projector/verify-log.ts"
import { verifyProjection } from "../../../apps/projector/verify.ts"
import { execute } from "../../../apps/execute.ts"
import { CancelCompose } from "../../../domain/compose-commands.ts"
import { ComposeId, Millis, type TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { TenantRowsLive } from "../../../infra/postgres/tenant-rows.ts"
import { projections } from "../../../projections/all.ts"
import { ProjectionStore } from "../../../projections/projection-store.ts"
import { decisionOf, jobs, requested, started } from "../../support/composes.ts"
import { newTenant, requestSimulated, rowsOf, SmallStack, startProjector, until } from "../../support/small-stack.ts"

const composes = projections.get("composes")!
const damage = (statement: string) => Effect.flatMap(Sql, ({ sql }) => Effect.promise(() => sql.unsafe(statement)))
const names = (rows: ReadonlyArray<Record<string, unknown>>) => rows.map((row) => row["distribution"])
const caughtUp = Effect.gen(function*() {
  const log = yield* EventLog
  const head = yield* log.head("EVENTS")
  const { run } = yield* Sql
  yield* until(Effect.orElseSucceed(run((sql) => sql<Array<{ position: number }>>`select position from kiln.checkpoints where stream = 'EVENTS' and projection in ${sql([...projections.keys()])}`), () => []),
    (rows) => rows.length === projections.size && rows.every(({ position }) => position >= head))
})

layer(Layer.provideMerge(TenantRowsLive, SmallStack), { excludeTestServices: true })("replay and verification", (it) => {
  it.effect("given read models that a projector keeps, then all of them verify, and what somebody has changed is found", () =>
    Effect.gen(function*() {
      yield* startProjector
      const tenantId = newTenant()
      for (let n = 0; n < 3; n += 1) yield* requestSimulated(tenantId)
      yield* caughtUp
      for (const projection of projections.values()) {
        assert.deepStrictEqual(yield* verifyProjection(projection), { _tag: "Compared", differences: 0, keys: [], parked: 0 }, projection.name)
      }
      const [row] = yield* rowsOf("composes", tenantId)
      yield* damage(`update kiln.composes set distribution = 'odd' where compose_id = '${row!["compose_id"] as string}'`)
      assert.deepStrictEqual(yield* verifyProjection(composes), { _tag: "Compared", differences: 1, keys: [`${tenantId} ${row!["compose_id"] as string}`], parked: 0 })
      assert.deepStrictEqual(yield* verifyLog(), { entries: yield* Effect.flatMap(EventLog, (log) => log.head("EVENTS")), blobs: 0, faults: [], count: 0 })
    }))

  it.effect("given damaged rows of two tenants, when one is replayed, then its rows are right again and the other's are as they were", () =>
    Effect.gen(function*() {
      yield* startProjector
      const [one, other] = [newTenant(), newTenant()]
      for (const tenantId of [one, one, other]) yield* requestSimulated(tenantId)
      yield* caughtUp
      yield* damage("update kiln.composes set distribution = 'odd'")
      yield* rebuildTenant(composes, { name: "of one", tenantId: one })
      assert.deepStrictEqual(names(yield* rowsOf("composes", one)), ["test-distro-1", "test-distro-1"])
      assert.deepStrictEqual(names(yield* rowsOf("composes", other)), ["odd"])
      // And the projector goes on from there.
      yield* requestSimulated(one)
      yield* until(rowsOf("composes", one), (rows) => rows.length === 3)
    }))

  it.effect("given a moment of the past, then a table beside the live one has the rows of then", () =>
    Effect.gen(function*() {
      yield* startProjector
      const tenantId = newTenant()
      const id = yield* requestSimulated(tenantId)
      const then = Date.now()
      yield* Effect.sleep("5 millis")
      yield* execute({ tenantId, messageId: v7(), at: Millis.make(Date.now()), actor: { kind: "requester", id: "anna" } }, CancelCompose.make({ composeId: id }))
      yield* until(rowsOf("composes", tenantId), ([row]) => row?.["status"] === "canceled")
      yield* rebuildPast(composes, then, tenantId)
      const past = yield* damage("select tenant_id, status from kiln.composes__past")
      assert.deepStrictEqual(past.map((row) => [row["tenant_id"], row["status"]]), [[tenantId, "pending"]])
      assert.strictEqual((yield* rowsOf("composes", tenantId))[0]!["status"], "canceled")
    }))

  it.effect("given a log with a gap and a blob that is gone, then verification names both, and reads on", () =>
    Effect.gen(function*() {
      const { js } = yield* CoreNats
      const tenantId = newTenant()
      const id = v7()
      const envelope = (revision: number, events: ReadonlyArray<object>) => JSON.stringify({
        schema: 1, checked: true, tenant: tenantId, aggregate: "compose", id, revision, messageId: `m${revision}`, at: Date.now(), actor: { kind: "system", id: "test" }, events
      })
      const digest = `sha256:${"b".repeat(64)}`
      const gone = { _tag: "JobFailed", composeId: id, jobId: "0-build", attempt: 1, failure: { class: "user", message: "x" }, final: true, log: { digest, size: 3 } }
      yield* Effect.promise(() => js.publish(`events.${tenantId}.compose.${id}.1`, envelope(1, [gone])))
      yield* Effect.promise(() => js.publish(`events.${tenantId}.compose.${id}.3`, envelope(3, [{ _tag: "ComposeFinished", composeId: id, outcome: "failed" }])))
      yield* requestSimulated(newTenant())
      const { count, entries, faults } = yield* verifyLog()
      assert.deepStrictEqual([...faults].toSorted(), [
        `${digest}, which revision 1 of ${tenantId}.compose.${id} names, is not there`, `${tenantId}.compose.${id} has no revision 2`
      ].toSorted())
      assert.deepStrictEqual([count, entries], [2, yield* Effect.flatMap(EventLog, (log) => log.head("EVENTS"))])
    }))

  it.effect("given a rebuild that is interrupted between two writes, when it is started again, then it goes on where it was, and has the rows of the live table", () =>
    Effect.gen(function*() {
      const [tenantId, log, store] = [newTenant(), yield* EventLog, yield* ProjectionStore]
      yield* Effect.forEach(Array.from({ length: 4700 }, () => ComposeId.make(v7())), (id) => fill(tenantId, id, 1), { concurrency: 256, discard: true })
      const head = yield* log.head("EVENTS")
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(runProjector([composes]))
        yield* until(store.checkpoint(composes, "live", "EVENTS"), (position) => position === head)
      }))
      const live = yield* rowsOf("composes", tenantId)
      assert.strictEqual(live.length, 4700)

      const begins: Array<number> = []
      let writes = 0
      /** Its process is gone before what follows is written. */
      const upTo = (last: number) => ProjectionStore.of({
        ...store,
        filling: (projection, generation, place) => Effect.map(store.filling(projection, generation, place), (filling) => {
          let isFirst = true
          return {
            ...filling,
            take: (entries) => {
              if (isFirst) begins.push(place.after, entries[0]!.position.sequence)
              isFirst = false
              return filling.take(entries)
            },
            write: (position) => Effect.suspend(() => ++writes > last ? Effect.never : filling.write(position))
          }
        })
      })
      const interrupted = yield* Effect.forkChild(Effect.provideService(rebuild(composes), ProjectionStore, upTo(1)))
      yield* until(Effect.sync(() => writes), (count) => count === 2)
      yield* Fiber.interrupt(interrupted)
      const stored = yield* store.checkpoint(composes, "rebuild", "EVENTS")
      assert.isAbove(stored, 0)
      assert.isBelow(stored, head)
      assert.deepStrictEqual(begins, [0, 1])
      assert.deepStrictEqual(yield* rowsOf("composes", tenantId), live)

      begins.length = 0
      yield* damage("update kiln.composes set distribution = 'odd'")
      yield* Effect.provideService(rebuild(composes), ProjectionStore, upTo(Infinity))
      assert.deepStrictEqual(begins, [stored, stored + 1])
      assert.deepStrictEqual(yield* rowsOf("composes", tenantId), live)
      assert.strictEqual(yield* store.checkpoint(composes, "live", "EVENTS"), head)
    }))
})

/** A decision each: requested, then started anew again and again. */
const fill = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId, revisions: number) {
  const log = yield* EventLog
  const event = (revision: number) => revision === 1 ? { ...requested, composeId } : { ...started(jobs.build, revision), composeId }
  for (let revision = 1; revision <= revisions; revision++) {
    yield* log.append(composeRef(tenantId, composeId), revision - 1, decisionOf(`m${revision}`, event(revision)))
  }
})
