import { Effect, Layer } from "effect"
import { keyOf, type Projection, project } from "../../projections/projection.ts"
import { CheckpointMoved, type Generation, ProjectionStore, StoreUnavailable } from "../../projections/projection-store.ts"
import {
  checkpointName, createIndexes, createTable, fromColumns, schema, selectByKeys, tableOf, toColumns, toJson, upsert
} from "./projection-tables.ts"
import { Sql } from "./sql.ts"

type Row = Record<string, unknown>

/** Says that a checkpoint was not where it should be; turned into CheckpointMoved once the transaction is rolled back. */
class Moved extends Error {}

export const ProjectionStorePostgres = Layer.effect(ProjectionStore, Effect.gen(function*() {
  const { sql } = yield* Sql
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({
      try: run,
      catch: (error) => error instanceof Moved
        ? new CheckpointMoved({ projection: error.message })
        : new StoreUnavailable({ message: `Postgres: ${(error as Error).message}` })
    })
  const only = <A>(run: () => Promise<A>) => Effect.catchTag(attempt(run), "CheckpointMoved", (moved) => Effect.die(moved))

  yield* only(() =>
    sql.begin(async (tx) => {
      // Two processes starting at once would both make the schema.
      await tx`select pg_advisory_xact_lock(hashtext('kiln/schema'))`
      await tx.unsafe(`create schema if not exists ${schema}`)
      await tx.unsafe(`create table if not exists ${schema}.checkpoints (
        projection text not null, stream text not null, position bigint not null, primary key (projection, stream))`)
      await tx.unsafe(`create table if not exists ${schema}.projections (name text primary key, version integer not null, built_at timestamptz not null default now())`)
    })).pipe(Effect.retry({ times: 3 }))

  const prepare = (projection: Projection, generation: Generation) =>
    only(() =>
      sql.begin(async (tx) => {
        await tx`select pg_advisory_xact_lock(hashtext('kiln/schema'))`
        const name = checkpointName(projection, generation)
        const [known] = await tx<Array<{ version: number }>>`select version from kiln.projections where name = ${name}`
        if (known !== undefined && (generation === "live" || known.version === projection.version)) {
          return { outdated: known.version !== projection.version }
        }
        await tx.unsafe(`drop table if exists ${tableOf(projection, generation)}`)
        await tx`delete from kiln.checkpoints where projection = ${name}`
        await tx.unsafe(createTable(projection, generation))
        for (const index of createIndexes(projection, generation)) await tx.unsafe(index)
        await tx`insert into kiln.projections (name, version) values (${name}, ${projection.version})
          on conflict (name) do update set version = excluded.version, built_at = now()`
        return { outdated: false }
      }))

  return ProjectionStore.of({
    prepare,
    checkpoint: (projection, generation, stream) =>
      only(async () => {
        const [row] = await sql<Array<{ position: number }>>`
          select position from kiln.checkpoints where projection = ${checkpointName(projection, generation)} and stream = ${stream}`
        return row?.position ?? 0
      }),
    apply: Effect.fnUntraced(function*(projection, generation, { stream, after, upTo, recorded }) {
      const name = checkpointName(projection, generation)
      const keys = new Map<string, Row>()
      for (const entry of recorded) {
        for (const event of entry.events) {
          const about = projection.about({ event, recorded: entry })
          if (about !== undefined) keys.set(keyOf(projection, entry.tenantId, about), { tenantId: entry.tenantId, ...about })
        }
      }
      yield* attempt(() =>
        sql.begin(async (tx) => {
          // Both are asked in one go: a checkpoint that has moved is rare, and the rows were read for nothing then.
          const [moved, stored] = await Promise.all([
            after === 0
              ? tx`insert into kiln.checkpoints values (${name}, ${stream}, ${upTo}) on conflict do nothing`
              : tx`update kiln.checkpoints set position = ${upTo} where projection = ${name} and stream = ${stream} and position = ${after}`,
            keys.size === 0 ? [] : tx.unsafe<Array<Row>>(selectByKeys(projection, generation), [toJson([...keys.values()].map(toColumns))], { prepare: true })
          ])
          if (moved.count !== 1) throw new Moved(name)
          if (keys.size === 0) return
          const rows = new Map(stored.map((columns) => {
            const row = fromColumns<Row>(projection, columns)
            return [keyOf(projection, String(row["tenantId"]), row), row]
          }))
          const next = project(projection, recorded, rows)
          if (next.size > 0) await tx.unsafe(upsert(projection, generation), [toJson([...next.values()].map(toColumns))], { prepare: true })
        }))
    }),
    swap: (projection) =>
      only(() =>
        sql.begin(async (tx) => {
          const [live, rebuilt] = [checkpointName(projection, "live"), checkpointName(projection, "rebuild")]
          // The projector needs this lock to commit: it waits here, and finds its checkpoint moved.
          await tx`select 1 from kiln.checkpoints where projection in (${live}, ${rebuilt}) order by projection, stream for update`
          const [behind] = await tx<Array<{ count: number }>>`
            select count(*)::int as count from kiln.checkpoints l left join kiln.checkpoints r
              on r.projection = ${rebuilt} and r.stream = l.stream
            where l.projection = ${live} and coalesce(r.position, 0) < l.position`
          if ((behind?.count ?? 0) > 0) return false
          await tx.unsafe(`drop table if exists ${tableOf(projection, "live")}`)
          await tx.unsafe(`alter table ${tableOf(projection, "rebuild")} rename to ${projection.name}`)
          await tx`delete from kiln.checkpoints where projection = ${live}`
          await tx`update kiln.checkpoints set projection = ${live} where projection = ${rebuilt}`
          await tx`delete from kiln.projections where name = ${live}`
          await tx`update kiln.projections set name = ${live}, built_at = now() where name = ${rebuilt}`
          return true
        })),
    discardRebuild: (projection) =>
      only(() =>
        sql.begin(async (tx) => {
          await tx.unsafe(`drop table if exists ${tableOf(projection, "rebuild")}`)
          await tx`delete from kiln.checkpoints where projection = ${checkpointName(projection, "rebuild")}`
          await tx`delete from kiln.projections where name = ${checkpointName(projection, "rebuild")}`
        })),
    alone: (name, effect) =>
      Effect.acquireUseRelease(
        only(async () => {
          const connection = await sql.reserve()
          await connection`select pg_advisory_lock(hashtext(${name}))`
          return connection
        }),
        () => effect,
        (connection) => Effect.promise(async () => {
          await connection`select pg_advisory_unlock(hashtext(${name}))`.catch(() => undefined)
          connection.release()
        })
      )
  })
}))

