import { Effect, Layer } from "effect"
import type { Recorded } from "../../domain/recorded.ts"
import { composeRef } from "../../domain/recorded.ts"
import { ComposeQueriesPostgres } from "../../infra/postgres/compose-queries-postgres.ts"
import { createIndexes } from "../../infra/postgres/projection-tables.ts"
import { Sql } from "../../infra/postgres/sql.ts"
import { projections } from "../../projections/all.ts"
import { type ComposeFilter, ComposeQueries, type PageRequest } from "../../projections/compose-queries.ts"
import { ProjectionStore } from "../../projections/projection-store.ts"
import { atLeast, atMost, type Bench, type Metric, percentile, told } from "./bench.ts"
import { benchTenant, lifeOf, withLogAndRows } from "./log-and-rows.ts"

const composes = projections.get("composes")!
const page = 20
const samples = 500
const batches = 40
const batchSize = 1000

export const history: Bench = {
  name: "history",
  about: "pages of a list of composes with --rows of them (10,000,000 unless said), and how fast rows come in, against an empty table",
  run: (say, { rows }) =>
    withLogAndRows(() =>
      Effect.gen(function*() {
        yield* (yield* ProjectionStore).prepare(composes, "live")
        const empty = yield* insertRate
        say(`making ${rows} rows`)
        yield* fill(rows)
        const full = yield* insertRate
        say("reading pages")
        const deep = yield* keyAt(Math.min(10_000 * page, Math.floor(rows / 2)))
        const timed = (what: string, filter: ComposeFilter, request: PageRequest) => Effect.map(times(filter, request), (values) => ({ what, values }))
        const first = yield* timed("first page", {}, { limit: page })
        const tenThousandth = yield* timed("page 10,000", {}, { limit: page, before: deep })
        const others = yield* Effect.all([
          timed("first page of a status", { status: "failed" }, { limit: page }), timed("first page of a label", { labels: ["team=t7"] }, { limit: page }),
          timed("first page of a rare word", { search: "rare77" }, { limit: page }), timed("first page of a word in every row", { search: "server" }, { limit: page })
        ])
        return [
          ...[first, tenThousandth].map(({ values, what }) => atMost(`${what} p99`, percentile(values, 0.99), 20, "ms")),
          ...others.map(({ values, what }): Metric => told(`${what} p99`, percentile(values, 0.99), "ms")),
          told("rows into an empty table", empty, "composes/s"),
          told(`rows beside ${rows} others`, full, "composes/s"),
          atLeast("full / empty", full / empty, 0.5, "ratio")
        ]
      }).pipe(Effect.provide(ComposeQueriesPostgres.pipe(Layer.fresh))))
}

/** As the projector writes them: folded, in one transaction with the checkpoint. */
const insertRate = Effect.gen(function*() {
  const store = yield* ProjectionStore
  let after = yield* store.checkpoint(composes, "live", "EVENTS")
  const prepared = Array.from({ length: batches }, () => Array.from({ length: batchSize }, (): Recorded<"compose"> => {
    const { decisions: [first], id } = lifeOf()
    after += 1
    return { _tag: "Recorded", ...composeRef(benchTenant, id), ...first!, revision: 1, position: { stream: "EVENTS", sequence: after } }
  }))
  const begun = performance.now()
  for (const entries of prepared) {
    const upTo = entries.at(-1)!.position.sequence
    yield* store.apply(composes, "live", { stream: "EVENTS", after: upTo - batchSize, upTo, entries })
  }
  return (batches * batchSize) / ((performance.now() - begun) / 1000)
})

/** Rows of a year, made by Postgres itself; indexes are made afterwards, which takes a tenth of the time. */
const fill = Effect.fnUntraced(function*(rows: number) {
  const { sql } = yield* Sql
  yield* Effect.promise(async () => {
    const indexes = await sql<Array<{ name: string }>>`select indexname as name from pg_indexes where schemaname = 'kiln' and tablename = 'composes' and indexname not like '%pkey'`
    for (const { name } of indexes) await sql.unsafe(`drop index kiln."${name}"`)
    await sql.unsafe(`insert into kiln.composes (tenant_id, compose_id, status, distribution, name, labels, request, images, requested_by, requested_at, started_at, ended_at, failure, revision, terms)
      select '${benchTenant}', '00000000-0000-7000-8000-' || lpad(to_hex(n), 12, '0'), case when n % 50 = 0 then 'failed' else 'succeeded' end, 'debian-' || 11 + n % 3,
        'web server ' || n, jsonb_build_object('team', 't' || n % 1000), '{}', 1, 'user-' || n % 500, 1700000000000 + n * 3000::bigint, 1700000000000 + n * 3000::bigint, 1700000100000 + n * 3000::bigint, null, 5,
        array['${benchTenant}/w:web', '${benchTenant}/w:server', '${benchTenant}/l:team', '${benchTenant}/l:team=t' || n % 1000, '${benchTenant}/w:rare' || n % 100000, '${benchTenant}/i:guest-image', '${benchTenant}/t:file']
      from generate_series(1, ${rows}) n`)
    for (const index of createIndexes(composes, "live")) await sql.unsafe(index)
    await sql.unsafe("vacuum analyze kiln.composes")
  })
})

const keyAt = Effect.fnUntraced(function*(offset: number) {
  const { sql } = yield* Sql
  const [row] = yield* Effect.promise(() => sql<Array<{ at: number; id: string }>>`
    select requested_at as at, compose_id as id from kiln.composes where tenant_id = ${benchTenant} order by requested_at desc, compose_id desc offset ${offset} limit 1`)
  return { requestedAt: row!.at, composeId: row!.id as never }
})

const times = Effect.fnUntraced(function*(filter: ComposeFilter, request: PageRequest) {
  const { list } = yield* ComposeQueries
  const taken: Array<number> = []
  for (let n = 0; n < samples; n += 1) {
    const begun = performance.now()
    yield* list(benchTenant, filter, request)
    taken.push(performance.now() - begun)
  }
  return taken
})
