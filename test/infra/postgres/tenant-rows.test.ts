import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { ComposeQueriesPostgres, composePage } from "../../../infra/postgres/compose-queries-postgres.ts"
import { Sql } from "../../../infra/postgres/sql.ts"
import { TenantRows } from "../../../infra/postgres/tenant-rows.ts"
import { type ComposeFilter, ComposeQueries } from "../../../projections/compose-queries.ts"
import { failed, jobs, queued } from "../../support/composes.ts"
import { acme, asked, birch, composeAt, decided, named, prepareAll, ReadModels, take } from "./read-models.ts"

const numbers = (rows: ReadonlyArray<{ readonly composeId: string }>) => rows.map(({ composeId }) => Number(composeId.slice(-4)))

layer(Layer.provideMerge(ComposeQueriesPostgres, ReadModels), { excludeTestServices: true })("rows of a tenant", (it) => {
  it.effect("given rows of two tenants, then each sees its own, and who names none sees nothing", () =>
    Effect.gen(function*() {
      yield* prepareAll
      yield* take(named("composes"), [
        asked(acme, 1, { name: "Web Server", labels: { team: "web", env: "it's \\ odd" } }),
        asked(acme, 2, { name: "mail", images: [{ architecture: "aarch64", type: "ami", targets: [{ type: "aws", region: "eu-central-1", bucket: "kiln-images" }] }] }),
        asked(birch, 3, { name: "Web Server" }),
        decided(acme, composeAt(1), 2, queued(jobs.resolve))
      ])
      const rows = yield* TenantRows
      const all = (tenantId: typeof acme) => rows.read(tenantId, (sql) => sql<Array<{ id: string }>>`select compose_id as id from kiln_read.composes order by 1`)
      assert.deepStrictEqual((yield* all(acme)).map(({ id }) => id), [composeAt(1), composeAt(2)])
      assert.deepStrictEqual((yield* all(birch)).map(({ id }) => id), [composeAt(3)])
      const { sql } = yield* Sql
      const unnamed = yield* Effect.promise(() => sql.begin(async (tx) => {
        await tx`set local role kiln_reader`
        return tx`select * from kiln_read.composes`
      }))
      assert.strictEqual(unnamed.length, 0)
    }))

  it.effect("given the readers' role, then the tables themselves, the checkpoints and any writing are out of its reach", () =>
    Effect.gen(function*() {
      const rows = yield* TenantRows
      const { sql } = yield* Sql
      for (const statement of ["select * from kiln.composes", "select * from kiln.checkpoints", "delete from kiln_read.composes", "create table kiln_read.x (y int)"]) {
        const refused = yield* Effect.promise(() => sql.begin(async (tx) => {
          await tx`set local role kiln_reader`
          return tx.unsafe(statement)
        }).then(() => "", (error: { readonly code: string }) => error.code))
        assert.strictEqual(refused, "42501", statement)
        assert.match((yield* Effect.flip(rows.read(acme, (tx) => tx.unsafe(statement)))).message, /not been built/)
      }
    }))

  it.effect("given a tenant's composes, then every filter finds what it should, and no word of another tenant's", () =>
    Effect.gen(function*() {
      const { list } = yield* ComposeQueries
      yield* take(named("composes"), [
        decided(acme, composeAt(2), 2, { ...failed(jobs.build, 1, true, { class: "user", message: "No package ngnix" }), composeId: composeAt(2) })
      ])
      const found = (filter: ComposeFilter, tenantId = acme) => Effect.map(list(tenantId, filter, { limit: 10 }), numbers)
      const cases: ReadonlyArray<readonly [ComposeFilter, ReadonlyArray<number>]> = [
        [{}, [2, 1]], [{ labels: ["team"] }, [1]], [{ labels: ["team=web"] }, [1]], [{ labels: ["team=we"] }, []],
        [{ labels: ["team", "env=it's \\ odd"] }, [1]], [{ imageType: "ami" }, [2]], [{ architecture: "aarch64" }, [2]],
        [{ target: "aws" }, [2]], [{ target: "file" }, [1]], [{ requestedBy: "anna" }, [2, 1]], [{ requestedBy: "bob" }, []],
        [{ search: "serv we" }, [1]], [{ search: "erver" }, []], [{ search: "package NGNIX" }, [2]], [{ search: "'':* | web" }, [1]],
        [{ search: composeAt(1) }, [1]], [{ status: "pending", search: "mail", target: "aws" }, [2]], [{ search: "!!" }, [2, 1]]
      ]
      for (const [filter, expected] of cases) assert.deepStrictEqual(yield* found(filter), expected, JSON.stringify(filter))
      assert.deepStrictEqual(yield* found({ search: "mail" }, birch), [])
    }))

  it.effect("given many rows, then every list of composes is read by way of an index", () =>
    Effect.gen(function*() {
      const { sql } = yield* Sql
      yield* Effect.promise(() => sql.unsafe(`insert into kiln.composes
        select 'acme', gen_random_uuid()::text, case n % 50 when 0 then 'failed' else 'succeeded' end, 'debian-' || n % 9, null, '{}', '{}', 1, null,
          'u' || n % 40, n, null, null, null, 1, array['acme/w:word' || n % 997, 'acme/l:team=t' || n % 97, 'acme/b:b' || n % 500]
        from generate_series(1, 30000) n`))
      // As the server does by itself in time; until then what is new lies beside the index.
      yield* Effect.promise(() => sql.unsafe("vacuum analyze kiln.composes"))
      const rows = yield* TenantRows
      const filters: ReadonlyArray<ComposeFilter> = [
        {}, { status: "failed" }, { distribution: "debian-3" }, { requestedBy: "u7" }, { labels: ["team=t5"] }, { search: "word55" },
        { since: 100, until: 300 }, { imageType: "ami" }, { blueprint: "b7" }, { blueprint: "b7", blueprintVersion: 2 }, { target: "aws" }, { architecture: "aarch64" }
      ]
      for (const filter of filters) {
        for (const page of [{ limit: 21 }, { limit: 21, before: { requestedAt: 15_000, composeId: composeAt(1) } }]) {
          const plan = yield* rows.read(acme, (tx) => composePage(tx, acme, filter, page, "explain"))
          const text = plan.map((line) => line["QUERY PLAN"]).join("\n")
          assert.match(text, /Index (Only )?Scan|Bitmap Index Scan/, text)
          assert.notMatch(text, /Seq Scan/, text)
        }
      }
      const rare = yield* rows.read(acme, (tx) => composePage(tx, acme, { search: "word55" }, { limit: 21 }, "explain"))
      assert.match(rare.map((line) => line["QUERY PLAN"]).join("\n"), /array_to_tsvector/)
    }))
})
