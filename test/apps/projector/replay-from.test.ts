/** A read model whose rows are folded anew from a place of the log on, and stay as they are before it. */
import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer } from "effect"
import { v7 } from "uuid"
import { runProjector } from "../../../apps/projector/projector.ts"
import { rebuild } from "../../../apps/projector/rebuild.ts"
import { rebuildTenant } from "../../../apps/projector/replay-part.ts"
import { verifyProjection } from "../../../apps/projector/verify.ts"
import { ComposeId, type TenantId } from "../../../domain/ids.ts"
import { EventLog } from "../../../domain/ports/event-log.ts"
import { Parked } from "../../../domain/ports/parked.ts"
import { composeRef } from "../../../domain/recorded.ts"
import { CoreNats } from "../../../infra/jetstream/nats.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { TenantRows, TenantRowsLive } from "../../../infra/postgres/tenant-rows.ts"
import { projections } from "../../../projections/all.ts"
import type { Projection } from "../../../projections/projection.ts"
import { type Part, ProjectionStore } from "../../../projections/projection-store.ts"
import { decisionOf, jobs, queued, requested, started } from "../../support/composes.ts"
import { newTenant, rowsOf, SmallStack, startProjector, until } from "../../support/small-stack.ts"

const [composes, attempts, images] = [projections.get("composes")!, projections.get("jobs")!, projections.get("images")!]
const damage = (statement: string) => Effect.flatMap(Sql, ({ sql }) => Effect.promise(() => sql.unsafe(statement)))
const head = Effect.flatMap(EventLog, (log) => log.head("EVENTS"))
const newId = () => ComposeId.make(v7())
const from = (after: number): Part => ({ name: `from ${after}`, from: new Map([["EVENTS", after]]) })
const distributions = (tenantId: TenantId) =>
  Effect.map(rowsOf("composes", tenantId), (rows) => Object.fromEntries(rows.map((row) => [row["compose_id"] as string, row["distribution"]])))

/** A decision each: requested, then one job is queued and started again and again. */
const grow = Effect.fnUntraced(function*(tenantId: TenantId, composeId: ComposeId, to: number, after = 0) {
  const log = yield* EventLog
  for (let revision = after + 1; revision <= to; revision++) {
    const event = revision === 1 ? requested : revision === 2 ? queued(jobs.build) : started(jobs.build, revision)
    yield* log.append(composeRef(tenantId, composeId), revision - 1, decisionOf(`m${revision}`, { ...event, composeId }))
  }
})

const caughtUp = (...wanted: ReadonlyArray<Projection>) => Effect.gen(function*() {
  const [store, last] = [yield* ProjectionStore, yield* head]
  for (const projection of wanted) yield* until(Effect.orElseSucceed(store.checkpoint(projection, "live", "EVENTS"), () => 0), (position) => position >= last)
})

layer(Layer.provideMerge(TenantRowsLive, SmallStack), { excludeTestServices: true })("a replay from a place in the log", (it) => {
  it.effect("given damaged rows and a reader in a loop, then what has entries since is right again at once, the rest is as it was, and the projector goes on", () =>
    Effect.gen(function*() {
      yield* startProjector
      const [tenantId, before, across, later] = [newTenant(), newId(), newId(), newId()]
      yield* grow(tenantId, before, 3)
      yield* grow(tenantId, across, 2)
      const place = yield* head
      yield* grow(tenantId, across, 4, 2)
      yield* grow(tenantId, later, 3)
      yield* caughtUp(composes, attempts, images)
      yield* damage("update kiln.composes set distribution = 'odd', revision = 70")
      yield* damage("update kiln.jobs set worker = 'odd', kind = 'test'")

      const rows = yield* TenantRows
      const seen: Array<string> = []
      const look = rows.read(tenantId, (sql) => sql<Array<{ odd: number }>>`select count(*) filter (where distribution = 'odd')::int as odd from kiln_read.composes`)
      const reader = yield* Effect.forkScoped(Effect.forever(Effect.map(look, ([row]) => void seen.push(String(row!.odd)))))
      const seenMore = Effect.suspend(() => {
        const already = seen.length
        return until(Effect.sync(() => seen.length), (count) => count > already + 30)
      })
      yield* seenMore
      yield* rebuild(composes, undefined, from(place))
      const after = seen.length
      yield* seenMore
      yield* Fiber.interrupt(reader)
      assert.deepStrictEqual([...new Set(seen)], ["3", "1"])
      assert.deepStrictEqual([...new Set(seen.slice(after + 1))], ["1"])
      assert.deepStrictEqual(yield* distributions(tenantId), { [before]: "odd", [across]: "debian-13", [later]: "debian-13" })

      yield* rebuild(attempts, undefined, from(place))
      yield* grow(tenantId, across, 6, 4)
      yield* grow(tenantId, before, 4, 3)
      yield* caughtUp(composes, attempts)
      assert.deepStrictEqual((yield* rowsOf("composes", tenantId)).map((row) => row["revision"]), [4, 6, 3])
      assert.deepStrictEqual(yield* verifyProjection(composes), { _tag: "Compared", differences: 1, keys: [`${tenantId} ${before}`], parked: 0 })
      assert.deepInclude(yield* verifyProjection(attempts), { differences: 1, keys: [`${tenantId} ${before} ${jobs.build} 1`] })
      // By now all of them have entries since.
      yield* rebuild(composes, undefined, from(place))
      yield* rebuild(attempts, undefined, from(place))
      for (const projection of [composes, attempts]) {
        assert.deepStrictEqual(yield* verifyProjection(projection), { _tag: "Compared", differences: 0, keys: [], parked: 0 }, projection.name)
      }
    }))

  it.effect("given rows that a fold makes no more, then they are gone for what has entries since", () =>
    Effect.gen(function*() {
      const [tenantId, before, later] = [newTenant(), newId(), newId()]
      yield* grow(tenantId, before, 3)
      const place = yield* head
      yield* grow(tenantId, later, 3)
      yield* Effect.scoped(Effect.gen(function*() {
        yield* startProjector
        yield* caughtUp(attempts)
      }))
      const fewer: Projection = { ...attempts, evolve: (row, happened) => happened.event._tag === "JobQueued" ? undefined : attempts.evolve(row, happened) }
      const known = yield* rowsOf("jobs", tenantId)
      yield* rebuild(fewer, undefined, from(place))
      assert.deepStrictEqual(yield* rowsOf("jobs", tenantId), known.filter((row) => row["compose_id"] === before))
    }))

  it.effect("given a tenant, then its rows alone are taken anew", () =>
    Effect.gen(function*() {
      yield* startProjector
      const [one, other, before, since, others] = [newTenant(), newTenant(), newId(), newId(), newId()]
      yield* grow(one, before, 2)
      const place = yield* head
      yield* grow(one, since, 3)
      yield* grow(other, others, 3)
      yield* caughtUp(composes)
      yield* damage("update kiln.composes set distribution = 'odd'")
      yield* rebuildTenant(composes, { ...from(place), name: "of one", tenantId: one })
      assert.deepStrictEqual(yield* distributions(one), { [before]: "odd", [since]: "debian-13" })
      assert.deepStrictEqual(yield* distributions(other), { [others]: "odd" })
      yield* rebuild(composes)
    }))

  it.effect("given what could not be taken in, and something nobody can read, then a better program takes in the first, and the rest of the second stays", () =>
    Effect.gen(function*() {
      const [tenantId, poisoned, broken] = [newTenant(), newId(), newId()]
      const place = yield* head
      yield* grow(tenantId, poisoned, 2)
      yield* grow(tenantId, broken, 2)
      const { js } = yield* CoreNats
      yield* Effect.promise(() => js.publish(`events.${tenantId}.compose.${broken}.3`, "{\"schema\": 1}"))
      const faulty: Projection = {
        ...composes,
        evolve: (row, happened) => {
          if (happened.recorded.id === poisoned) throw new Error("a fault of ours")
          return composes.evolve(row, happened)
        }
      }
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(runProjector([faulty]))
        yield* caughtUp(composes)
      }))
      const parked = Effect.map(Effect.flatMap(Parked, ({ list }) => list), (items) =>
        items.filter(({ by, tenantId: of }) => by === "projector composes" && of === tenantId).map(({ composeId }) => composeId))
      assert.sameMembers(yield* parked, [poisoned, broken])
      // Since it can be read up to there by nobody, what it is folded from is not to be had: its row stays.
      yield* rebuild(composes, undefined, from(place + 1))
      assert.deepStrictEqual((yield* rowsOf("composes", tenantId)).map((row) => [row["compose_id"], row["revision"]]), [[poisoned, 2], [broken, 2]])
      assert.deepStrictEqual(yield* parked, [broken])
      const store = yield* ProjectionStore
      assert.deepStrictEqual((yield* store.parked(composes)).map(({ ref }) => ref.id), [broken])
    }))

  it.effect("given one that is interrupted between two batches, when it is started again, then it goes on, and nothing else goes on with its table", () =>
    Effect.gen(function*() {
      const [tenantId, store] = [newTenant(), yield* ProjectionStore]
      const place = yield* head
      yield* Effect.forEach(Array.from({ length: 100 }, newId), (id) => grow(tenantId, id, 25), { concurrency: "unbounded", discard: true })
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(runProjector([composes]))
        yield* caughtUp(composes)
      }))
      const live = yield* rowsOf("composes", tenantId)
      const begins: Array<number> = []
      /** Its process is gone before the second batch is written. */
      const upTo = (last: number) => ProjectionStore.of({
        ...store,
        filling: (projection, generation, place) => Effect.suspend(() => {
          begins.push(place.after)
          return store.filling(projection, generation, place)
        }),
        apply: (projection, generation, batch) => Effect.suspend(() => {
          begins.push(batch.after)
          return begins.length > last ? Effect.never : store.apply(projection, generation, batch)
        })
      })
      const interrupted = (part: Part | undefined) => Effect.gen(function*() {
        begins.length = 0
        const fiber = yield* Effect.forkChild(Effect.provideService(rebuild(composes, undefined, part), ProjectionStore, upTo(1)))
        yield* until(Effect.sync(() => begins.length), (count) => count === 2)
        yield* Fiber.interrupt(fiber)
      })
      yield* interrupted(from(place))
      assert.strictEqual(begins[0], place)
      const stored = yield* store.checkpoint(composes, "rebuild", "EVENTS")
      assert.strictEqual(stored, begins[1])
      assert.deepStrictEqual(yield* rowsOf("composes", tenantId), live)

      yield* damage("update kiln.composes set distribution = 'odd'")
      begins.length = 0
      yield* Effect.provideService(rebuild(composes, undefined, from(place)), ProjectionStore, upTo(Infinity))
      assert.strictEqual(begins[0], stored)
      assert.deepStrictEqual(yield* rowsOf("composes", tenantId), live)

      yield* interrupted(from(place))
      begins.length = 0
      yield* Effect.provideService(rebuild(composes), ProjectionStore, upTo(Infinity))
      assert.strictEqual(begins[0], 0)
      assert.deepStrictEqual(yield* rowsOf("composes", tenantId), live)
    }))

  it.effect("given a live table of another version, then nothing is built in part", () =>
    Effect.gen(function*() {
      const newer: Projection = { ...composes, version: composes.version + 1 }
      const error = yield* Effect.flip(rebuild(newer, undefined, from(0)))
      assert.match(error.message, /can only be built anew as a whole/)
      assert.match((yield* Effect.flip(rebuildTenant(newer, { name: "of one", tenantId: newTenant() }))).message, /can only be built anew as a whole/)
    }))
})
