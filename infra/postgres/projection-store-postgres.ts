import { Effect, Layer, Result } from "effect"
import type { Recorded } from "../../domain/recorded.ts"
import { type Projection, takeIn } from "../../projections/projection.ts"
import {
  CheckpointMoved, type ParkedAggregate, ProjectionStore, type Refolded, StoreUnavailable
} from "../../projections/projection-store.ts"
import { copyLive, createSchema, differingRows, dropTable, makeIndexes, prepareTable, replaceRowsOf, swapTables, tellChange } from "./generations.ts"
import { checkpointName } from "./projection-tables.ts"
import { RowCache } from "./row-cache.ts"
import { type Client, Sql } from "./sql.ts"
import { TableFill } from "./table-fill.ts"
import { takeAtOnce, Written } from "./take-at-once.ts"
import { Moved, park, prepareBatch, type Row, takeBatch, takeShares, write } from "./take-batch.ts"
import { type Transaction, transaction } from "./transaction.ts"

const toUnavailable = ({ message }: { readonly message: string }) => new StoreUnavailable({ message: `Postgres: ${message}` })

/** Somebody's query held a lock for too long. */
const lockTimedOut = "55P03"

export const ProjectionStorePostgres = Layer.effect(ProjectionStore, Effect.gen(function*() {
  const { byKey, session, sql } = yield* Sql
  const attempt = <A>(run: () => Promise<A>) =>
    Effect.tryPromise({
      try: run,
      catch: (error) => error instanceof Moved
        ? new CheckpointMoved({ projection: error.message })
        : toUnavailable(error as Error)
    })
  const only = <A>(run: () => Promise<A>) => Effect.catchTag(attempt(run), "CheckpointMoved", (moved) => Effect.die(moved))
  const inOne = <A>(run: (tx: Transaction) => Promise<A>) => only(() => transaction(sql, run))

  /** Locks and open transactions end with the session, and what depends on them with it. */
  const inSession = <B, A, E, R>(begin: (own: Client) => Promise<B>, effect: (begun: B) => Effect.Effect<A, E, R>) =>
    Effect.scoped(Effect.gen(function*() {
      const { lost, sql: own } = yield* Effect.mapError(session, toUnavailable)
      const begun = yield* only(() => begin(own))
      return yield* Effect.raceFirst(effect(begun), Effect.mapError(lost, toUnavailable))
    }))

  const [cache, written] = [new RowCache(), new Written()]
  yield* inOne(createSchema).pipe(Effect.retry({ times: 3 }))

  return ProjectionStore.of({
    prepare: Effect.fnUntraced(function*(projection, generation, part) {
      const { empty, outdated } = yield* inOne((tx) => prepareTable(tx, projection, generation, part))
      // Apart, since others wait for the transaction in which tables are made.
      if (empty && part !== undefined) yield* inOne((tx) => copyLive(tx, projection, generation, part))
      return { outdated }
    }),
    checkpoint: (projection, generation, stream) =>
      only(async () => {
        const [row] = await sql<Array<{ position: number }>>`
          select position from kiln.checkpoints where projection = ${checkpointName(projection, generation)} and stream = ${stream}`
        return row?.position ?? 0
      }),
    apply: (projection, generation, batch) =>
      Effect.suspend(() => {
        const prepared = prepareBatch({ projection, after: batch.after }, generation, batch.entries, { anew: batch.anew })
        return attempt(() => transaction(sql, (tx) => takeBatch(tx, batch, prepared)))
      }),
    filling: (projection, generation, place) =>
      Effect.map(only(() => TableFill.begin({ sql, byKey }, projection, generation, place)), (fill) => ({
        rowsWaiting: () => fill.rowsWaiting,
        take: (entries) => only(() => fill.take(entries)),
        write: (upTo) => attempt(() => fill.write(upTo))
      })),
    applyTogether: (shares, { entries, stream, upTo }) =>
      Effect.suspend(() => {
        const prepared = shares.map((share) => {
          const kept = cache.take(checkpointName(share.projection, "live"), stream, share.after)
          return prepareBatch(share, "live", entries.filter(({ position }) => position.sequence > share.after), { kept })
        })
        const batch = { stream, upTo }
        const allTaken = Effect.flatMap(only(() => takeAtOnce(byKey, written, batch, prepared)), (taken) =>
          taken === undefined ? inOne((tx) => takeShares(tx, batch, prepared, "leave")) : Effect.succeed(taken))
        return Effect.map(allTaken, (taken) => {
          for (const { changed, changes, parked, share } of taken) {
            cache.put(share.name, stream, upTo, { changes, parked, rows: share.kept?.rows ?? new Map() }, changed)
          }
          const poisons = new Map(taken.map(({ poisons, share }) => [share.projection, poisons]))
          return { poisons, left: shares.map(({ projection }) => projection).filter((projection) => !poisons.has(projection)) }
        })
      }),
    index: (projection, generation) => inOne((tx) => makeIndexes(tx, projection, generation)),
    swap: (projection) =>
      only(() => transaction(sql, (tx) => swapTables(tx, projection)).catch((error: { readonly code?: string }) => {
        if (error.code === lockTimedOut) return false
        throw error
      })),
    discard: (projection, generation) => inOne((tx) => dropTable(tx, projection, generation)),
    parked: (projection) =>
      only(async () => {
        const rows = await sql<Array<Record<"tenant_id" | "aggregate" | "aggregate_id" | "stream" | "reason", string> & { sequence: number }>>`
          select tenant_id, aggregate, aggregate_id, stream, sequence, reason from kiln.parked_aggregates
          where projection = ${checkpointName(projection, "live")} order by parked_at, tenant_id, aggregate_id`
        return rows.map(({ aggregate, aggregate_id: id, reason, sequence, stream, tenant_id: tenantId }) =>
          ({ ref: { tenantId, aggregate, id }, stream, sequence, reason }) as ParkedAggregate)
      }),
    refold: (projection, history, heads) => inOne((tx) => refold(tx, projection, history, heads)),
    whileStill: (projection, effect) =>
      inSession(async (own) => {
        await own.unsafe("begin")
        const rows = await own<Array<{ stream: string; position: number }>>`
          select stream, position from kiln.checkpoints where projection = ${checkpointName(projection, "live")} order by stream for update`
        return new Map(rows.map(({ position, stream }) => [stream, position]))
      }, effect),
    replaceTenant: (projection, tenantId) => inOne((tx) => replaceRowsOf(tx, projection, tenantId)),
    differences: (projection, generation) => inOne((tx) => differingRows(tx, projection, generation)),
    alone: (name, effect) => inSession((own) => own`select pg_advisory_lock(hashtext(${name}))`, () => effect)
  })
}))

/** As far as the table has come, and no further: the projector goes on from there. */
const refold = async (
  tx: Transaction, projection: Projection, history: ReadonlyArray<Recorded>, heads: ReadonlyMap<string, number>
): Promise<Refolded> => {
  const name = checkpointName(projection, "live")
  const checkpoints = await tx<Array<{ stream: string; position: number }>>`
    select stream, position from kiln.checkpoints where projection = ${name} order by stream for update`
  if (checkpoints.some(({ position, stream }) => position > (heads.get(stream) ?? Infinity))) return { _tag: "Behind" }
  const positions = new Map(checkpoints.map(({ position, stream }) => [stream, position]))
  const known = history.filter(({ position }) => position.sequence <= (positions.get(position.stream) ?? 0))
  const [first] = known
  if (first === undefined) return { _tag: "Done" }
  const rows = new Map<string, Row>()
  for (const recorded of known) {
    const taken = takeIn(projection, rows, recorded)
    if (Result.isFailure(taken)) {
      await park(tx, name, recorded, recorded.position.stream, recorded.position.sequence, taken.failure)
      return { _tag: "StillPoisoned", reason: taken.failure }
    }
    for (const [key, row] of taken.success) rows.set(key, row)
  }
  if (rows.size > 0) await write(tx, projection, "live", rows.values())
  await tellChange(tx, projection)
  await tx`delete from kiln.parked_aggregates where projection = ${name}
    and tenant_id = ${first.tenantId} and aggregate = ${first.aggregate} and aggregate_id = ${first.id}`
  return { _tag: "Done" }
}
