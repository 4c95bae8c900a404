import { assert, layer } from "@effect/vitest"
import { Effect, Fiber, Layer, Redacted } from "effect"
import { PrometheusMetrics } from "effect/observability"
import postgres from "postgres"
import { retryAggregate } from "../../../apps/projector/poison.ts"
import { runProjector } from "../../../apps/projector/projector.ts"
import { rebuild } from "../../../apps/projector/rebuild.ts"
import { Parked } from "../../../domain/ports/parked.ts"
import { TenantRows, TenantRowsLive } from "../../../infra/postgres/tenant-rows.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { composeHistory } from "../../../projections/compose-history.ts"
import { projections } from "../../../projections/all.ts"
import type { Projection } from "../../../projections/projection.ts"
import { ProjectionStore } from "../../../projections/projection-store.ts"
import { TestDatabase } from "../../support/servers.ts"
import { newTenant, requestSimulated, rowsOf, SmallStack, startProjector, until } from "../../support/small-stack.ts"

const composes = composeHistory as unknown as Projection
const rowCount = (count: number) => (rows: ReadonlyArray<unknown>) => rows.length === count
const rowsSoon = (tenantId: ReturnType<typeof newTenant>, count: number) =>
  until(Effect.orElseSucceed(rowsOf("composes", tenantId), () => []), rowCount(count))

/** Of the most backward stream, as operators see it. */
const lagShown = Effect.map(Effect.context<never>(), (context) =>
  Math.max(...[...PrometheusMetrics.formatUnsafe(context).matchAll(/^kiln_projection_lag_ms\{[^}]*projection="composes"[^}]*\} (\d+)/gm)].map(([, value]) => Number(value))))

layer(Layer.provideMerge(TenantRowsLive, SmallStack), { excludeTestServices: true })("projectors", (it) => {
  it.effect("given two on one read model, then one works and the other waits, and takes over when the first is gone", () =>
    Effect.gen(function*() {
      const worked: Array<string> = []
      const store = yield* ProjectionStore
      const named = (name: string) =>
        runProjector([composes]).pipe(Effect.provideService(ProjectionStore, ProjectionStore.of({
          ...store,
          applyTogether: (...args) => Effect.tap(store.applyTogether(...args), Effect.sync(() => worked.push(name)))
        })), Effect.forkScoped)
      const tenantId = newTenant()
      yield* Effect.scoped(Effect.gen(function*() {
        yield* named("first")
        yield* requestSimulated(tenantId)
        yield* rowsSoon(tenantId, 1)
        yield* named("second").pipe(Effect.andThen(requestSimulated(tenantId)))
        yield* rowsSoon(tenantId, 2)
        assert.deepStrictEqual([...new Set(worked)], ["first"])
      }))
      worked.length = 0
      yield* Effect.scoped(Effect.gen(function*() {
        yield* named("second")
        yield* requestSimulated(tenantId)
        yield* rowsSoon(tenantId, 3)
      }))
      assert.deepStrictEqual([...new Set(worked)], ["second"])
    }))

  it.effect("given Postgres that goes away, then the projector waits and says for how long, and goes on with nothing lost when it is back", () =>
    Effect.gen(function*() {
      yield* startProjector
      const tenantId = newTenant()
      yield* requestSimulated(tenantId)
      yield* rowsSoon(tenantId, 1)
      const url = new URL(Redacted.value(yield* TestDatabase))
      const database = url.pathname.slice(1)
      url.pathname = "/postgres"
      const admin = yield* Effect.acquireRelease(
        Effect.sync(() => postgres(url.href, { max: 1, onnotice: () => {} })), (sql) => Effect.promise(() => sql.end({ timeout: 1 })))
      const cut = (reachable: boolean) => Effect.promise(async () => {
        await admin.unsafe(`alter database ${database} with allow_connections ${reachable}`)
        if (!reachable) await admin`select pg_terminate_backend(pid) from pg_stat_activity where datname = ${database}`
      })
      yield* cut(false)
      yield* requestSimulated(tenantId)
      yield* requestSimulated(tenantId)
      assert.isTrue((yield* Effect.result(rowsOf("composes", tenantId)))._tag === "Failure")
      yield* until(lagShown, (ms) => ms > 1500)
      yield* cut(true)
      yield* rowsSoon(tenantId, 3)
      yield* until(lagShown, (ms) => ms === 0)
    }))

  it.effect("given what cannot be taken in, then it is on the list of what is parked, and a retry by a better program brings its rows up to date", () =>
    Effect.gen(function*() {
      const faulty: Projection = {
        ...composes,
        evolve: (row, happened) => {
          if (happened.recorded.tenantId === poisoned) throw new Error("a fault of ours")
          return composes.evolve(row, happened)
        }
      }
      const [poisoned, other] = [newTenant(), newTenant()]
      const store = yield* ProjectionStore
      const id = yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(runProjector([faulty]))
        const id = yield* requestSimulated(poisoned)
        yield* requestSimulated(other)
        yield* rowsSoon(other, 1)
        return id
      }))
      assert.strictEqual((yield* rowsOf("composes", poisoned)).length, 0)
      const item = (yield* (yield* Parked).list).find(({ composeId }) => composeId === id)
      assert.deepInclude(item, { what: "event", by: "projector composes", tenantId: poisoned, reason: "a fault of ours" })
      const [parked] = yield* store.parked(composes)
      assert.deepStrictEqual(yield* retryAggregate(faulty, parked!), { _tag: "StillPoisoned", reason: "a fault of ours" })
      assert.deepStrictEqual(yield* retryAggregate(composes, parked!), { _tag: "Done" })
      assert.deepStrictEqual((yield* rowsOf("composes", poisoned)).map((row) => row["compose_id"]), [id])
      assert.isFalse((yield* (yield* Parked).list).some(({ composeId }) => composeId === id))
    }))

  it.effect("given one read model for which Postgres refuses the rows, then the others go on, and it catches up once it is mended", () =>
    Effect.gen(function*() {
      const images = projections.get("images")!
      const tenantId = newTenant()
      const { run } = yield* Sql
      yield* Effect.forkScoped(runProjector([composes, images]))
      yield* requestSimulated(tenantId)
      yield* rowsSoon(tenantId, 1)
      yield* run((sql) => sql`alter table kiln.images add constraint refused check (tenant_id <> ${sql.unsafe(`'${tenantId}'`)}) not valid`)
      yield* requestSimulated(tenantId)
      yield* rowsSoon(tenantId, 2)
      assert.strictEqual((yield* rowsOf("images", tenantId)).length, 1)
      yield* run((sql) => sql`alter table kiln.images drop constraint refused`)
      yield* until(rowsOf("images", tenantId), rowCount(2))
    }))

  it.effect("given a read model that is far behind, then the others do not wait for it, and it goes on with them from there", () =>
    Effect.gen(function*() {
      const tenantId = newTenant()
      const images = projections.get("images")!
      const store = yield* ProjectionStore
      yield* Effect.scoped(Effect.gen(function*() {
        yield* Effect.forkScoped(runProjector([composes, images]))
        yield* requestSimulated(tenantId)
        yield* rowsSoon(tenantId, 1)
      }))
      const together: Array<string> = []
      yield* store.discard(images, "live")
      const watched = ProjectionStore.of({
        ...store,
        applyTogether: (shares, entries) =>
          Effect.tap(store.applyTogether(shares, entries), () => Effect.sync(() => together.push(shares.map(({ projection }) => projection.name).join(" "))))
      })
      yield* runProjector([composes, images]).pipe(Effect.provideService(ProjectionStore, watched), Effect.forkScoped)
      yield* until(Effect.orElseSucceed(rowsOf("images", tenantId), () => []), rowCount(1))
      yield* requestSimulated(tenantId)
      yield* rowsSoon(tenantId, 2)
      yield* until(rowsOf("images", tenantId), rowCount(2))
      assert.strictEqual(together.at(-1), "composes images")
    }))

  it.effect("given a reader in a loop, when a new version of its read model is swapped in, then it sees no error, and nothing old after it", () =>
    Effect.gen(function*() {
      yield* startProjector
      const tenantId = newTenant()
      for (let n = 0; n < 5; n += 1) yield* requestSimulated(tenantId)
      yield* rowsSoon(tenantId, 5)
      const renamed: Projection = {
        ...composes,
        version: composes.version + 1,
        evolve: (row, happened) => {
          const next = composes.evolve(row, happened)
          return next && { ...next, name: "new" }
        }
      }
      const rows = yield* TenantRows
      const { run } = yield* Sql
      const seen: Array<string> = []
      let reading = true
      const look = rows.read(tenantId, (sql) => sql<Array<{ names: Array<string> }>>`select array_agg(coalesce(name, 'old')) as names from kiln_read.composes`)
      const reader = Effect.gen(function*() {
        while (reading) {
          const [row] = yield* look
          assert.strictEqual(row!.names.length, 5)
          seen.push([...new Set(row!.names)].join())
        }
      })
      const readers = yield* Effect.forkScoped(Effect.all([reader, reader, reader], { concurrency: 3 }))
      const sizeBefore = seen.length
      yield* until(Effect.sync(() => seen.length), (count) => count > sizeBefore + 50)
      yield* rebuild(renamed)
      const atSwap = yield* run((sql) => sql`select version from kiln.projections where name = 'composes'`)
      assert.strictEqual(atSwap[0]!["version"], renamed.version)
      const after = seen.length
      yield* until(Effect.sync(() => seen.length), (count) => count > after + 50)
      reading = false
      yield* Fiber.join(readers)
      assert.deepStrictEqual([...new Set(seen)], ["old", "new"])
      // Each reader may have had one answer under way.
      assert.deepStrictEqual([...new Set(seen.slice(after + 3))], ["new"])
      assert.isBelow(seen.lastIndexOf("old"), seen.indexOf("new") + 3)
    }))
})
