import { assert, layer } from "@effect/vitest"
import { Effect, Layer } from "effect"
import { Sql } from "../../../infra/postgres/sql.ts"
import { rowPage, RowsPostgres, tenantsUsagePage, usagePage } from "../../../infra/postgres/rows-postgres.ts"
import { TenantRows } from "../../../infra/postgres/tenant-rows.ts"
import { accounts } from "../../../projections/accounts.ts"
import { auditList } from "../../../projections/audit.ts"
import { blueprintList } from "../../../projections/blueprints.ts"
import { blueprintVersionList } from "../../../projections/blueprint-versions.ts"
import { imageList } from "../../../projections/images.ts"
import { attemptList } from "../../../projections/job-attempts.ts"
import { projections } from "../../../projections/all.ts"
import { pipelineList, type PipelineRow } from "../../../projections/pipelines.ts"
import { project } from "../../../projections/projection.ts"
import { type RowFilter, Rows } from "../../../projections/rows.ts"
import { termOf, wordTerms } from "../../../projections/terms.ts"
import { keyOfUsage, nothingUsed, type UsageBy, type UsageSum, withAttempt } from "../../../projections/usage.ts"
import { finished, jobs, outcomes, queued, started, succeeded } from "../../support/composes.ts"
import { accountRef, pipelineRef, type Recorded } from "../../../domain/recorded.ts"
import { Millis, PipelineName } from "../../../domain/ids.ts"
import { PipelineDeleted, type PipelineEvent } from "../../../domain/pipeline-events.ts"
import { building, declared, good, promoted } from "../../support/pipelines.ts"
import { acme, asked, birch, composeAt, decided, prepareAll, ReadModels, start, take } from "./read-models.ts"

const lifeOf = (tenantId: typeof acme, n: number): ReadonlyArray<Recorded<"compose">> => {
  const composeId = composeAt(n)
  const own = <Event extends object>(event: Event): Event => ({ ...event, composeId })
  return [
    asked(tenantId, n),
    decided(tenantId, composeId, 2, own(queued(jobs.build))),
    decided(tenantId, composeId, 3, own(started(jobs.build))),
    decided(tenantId, composeId, 4, own(succeeded(jobs.build)), own(queued(jobs.upload)), own(started(jobs.upload))),
    decided(tenantId, composeId, 5, own({ ...succeeded(jobs.upload), outcome: outcomes.upload }), own(finished("succeeded")))
  ]
}

layer(Layer.provideMerge(RowsPostgres, ReadModels), { excludeTestServices: true })("lists of read models", (it) => {
  it.effect("given what happened, then each list and each sum is what the fold of it says, page by page", () =>
    Effect.gen(function*() {
      yield* prepareAll
      const history = [...[1, 2, 3].flatMap((n) => lifeOf(acme, n)), ...lifeOf(birch, 4)]
      for (const projection of projections.values()) yield* take(projection, history)
      const rows = yield* Rows
      for (const listing of [attemptList, imageList, auditList]) {
        const order = listing.order as ReadonlyArray<string>
        const valuesOf = (row: object) => order.map((field) => (row as Record<string, string | number>)[field]!)
        const expected = [...project(listing.projection as never, history.filter(({ tenantId }) => tenantId === acme)).values()]
          .map((row) => Object.fromEntries(Object.entries(row).filter(([field]) => field !== "terms")))
        const seen: Array<object> = []
        for (;;) {
          const page: ReadonlyArray<object> = yield* rows.list(acme, listing as never, {}, { limit: 2, before: seen.length === 0 ? undefined : valuesOf(seen.at(-1)!) })
          seen.push(...page.map((row) => Object.fromEntries(Object.entries(row).filter(([field]) => field !== "terms"))))
          if (page.length < 2) break
        }
        const sorted = expected.toSorted((one, other) => JSON.stringify(valuesOf(one)) < JSON.stringify(valuesOf(other)) ? 1 : -1)
        assert.deepStrictEqual(seen, sorted, listing.projection.name)
        assert.isAbove(seen.length, 2)
      }
      const attempts = [...project(attemptList.projection, history).values()].filter(({ tenantId }) => tenantId === acme)
      for (const by of ["total", "day", "compose"] as const satisfies ReadonlyArray<UsageBy>) {
        const sums = new Map<string, UsageSum>()
        for (const row of attempts) sums.set(keyOfUsage(by, row), withAttempt(sums.get(keyOfUsage(by, row)) ?? nothingUsed(keyOfUsage(by, row)), row))
        const expected = [...sums.values()].toSorted((one, other) => one.key < other.key ? 1 : -1)
        assert.deepStrictEqual(yield* rows.usage(acme, { by, limit: 10 }), expected)
        assert.isAbove(expected[0]!.buildMs, 0)
        if (by !== "total") assert.deepStrictEqual(yield* rows.usage(acme, { by, limit: 10, before: expected[0]!.key }), expected.slice(1))
      }
      assert.deepStrictEqual(yield* rows.usage(acme, { by: "day", limit: 10, until: start }), [])
      const ofTenants = [acme, birch].map((tenantId) => [...project(attemptList.projection, history).values()]
        .filter((row) => row.tenantId === tenantId).reduce(withAttempt, nothingUsed(keyOfUsage("tenant", { tenantId, composeId: "", endedAt: 0 }))))
      assert.deepStrictEqual(yield* rows.usageOfTenants({ limit: 10 }), ofTenants)
      assert.deepStrictEqual(yield* rows.usageOfTenants({ limit: 1 }), ofTenants.slice(0, 1))
      assert.deepStrictEqual(yield* rows.usageOfTenants({ limit: 1, before: acme }), ofTenants.slice(1))
      assert.deepStrictEqual(yield* rows.usageOfTenants({ limit: 10, until: start }), [])
    }))

  it.effect("given accounts of several tenants, then only the list for operators goes over all of them", () =>
    Effect.gen(function*() {
      const of = (tenantId: typeof acme, sequence: number): Recorded<"account"> => ({
        _tag: "Recorded", ...accountRef(tenantId), messageId: `a${sequence}`, at: Millis.make(start), actor: { kind: "operator", id: "olga" },
        events: [{ _tag: "PolicySet", policy: { weight: 2 } }, { _tag: "QuotaReserved", at: Millis.make(start), composes: [{ composeId: composeAt(1), bytes: 5 }], rememberMs: 1 }],
        revision: 1, position: { stream: "EVENTS", sequence }
      })
      yield* take(projections.get("accounts")!, [of(acme, 1001), of(birch, 1002)])
      const rows = yield* Rows
      const all = yield* rows.tenants(accounts, { limit: 5 })
      assert.deepStrictEqual(all.map(({ policy, reserved, tenantId }) => [tenantId, reserved, policy]), [["acme", 1, { weight: 2 }], ["birch", 1, { weight: 2 }]])
      assert.deepStrictEqual((yield* rows.tenants(accounts, { limit: 5, after: "acme" })).map(({ tenantId }) => tenantId), ["birch"])
      const own = yield* (yield* TenantRows).read(acme, (sql) => sql`select tenant_id from kiln_read.accounts`)
      assert.deepStrictEqual(own.map((row) => row["tenant_id"]), ["acme"])
    }))

  it.effect("given pipelines, when they are listed, then as they were folded, page by page, without those that were deleted, each tenant its own", () =>
    Effect.gen(function*() {
      const recorded = (tenantId: typeof acme, name: string, sequence: number, ...events: readonly [PipelineEvent, ...Array<PipelineEvent>]): Recorded<"pipeline"> => ({
        _tag: "Recorded", ...pipelineRef(tenantId, PipelineName.make(name)), messageId: `p${sequence}`, at: Millis.make(start), actor: { kind: "operator", id: "olga" },
        events, revision: 1, position: { stream: "EVENTS", sequence }
      })
      const { at, ...declares } = declared({ keep: 2 })
      const events = (later: number) => [{ ...declares, at: Millis.make(at + later) }, building(1), good(1), promoted(1)] as const
      const history = [
        recorded(birch, "one", 2001, ...events(1)), recorded(birch, "two", 2002, ...events(2)), recorded(birch, "gone", 2003, ...events(3), PipelineDeleted.make({ at })),
        recorded(acme, "theirs", 2004, ...events(1))
      ]
      yield* take(projections.get("pipelines")!, history)
      const rows = yield* Rows
      const list = (page: { readonly limit: number; readonly before?: ReadonlyArray<string | number> }) => rows.list(birch, pipelineList, { equal: { declared: true } }, page)
      const [first] = yield* list({ limit: 1 })
      assert.deepStrictEqual([first!.name, first!.state.promoted!.number, first!.distribution], ["two", 1, "test-distro-2"])
      assert.deepStrictEqual((yield* list({ limit: 5, before: [first!.declaredAt, first!.name] })).map(({ name }) => name), ["one"])
      const folded = [...project(pipelineList.projection, history).values()].find(({ name, tenantId }) => name === "two" && tenantId === birch)
      assert.deepStrictEqual(first, JSON.parse(JSON.stringify(folded)) as PipelineRow)
    }))

  it.effect("given many rows, then every list, and every sum of some days, is read by way of an index", () =>
    Effect.gen(function*() {
      const { sql } = yield* Sql
      yield* Effect.promise(() => sql.unsafe(`
        insert into kiln.jobs select 'acme', gen_random_uuid()::text, '0-build', 1, 'build', 0, null, 'succeeded', 'w' || n % 20, n, null, n, n + 5, null, null, null, 5, 0, 0, null, null
          from generate_series(1, 20000) n;
        insert into kiln.images select 'acme', gen_random_uuid()::text, 0, 'debian-13', 'x86_64', 'ami', n, 'sha256:' || n, 1, 'raw', 'f', 'w', '[]',
          array['acme/i:ami', 'acme/d:sha256:' || n, 'acme/t:' || case n % 100 when 0 then 'aws' else 'file' end] from generate_series(1, 20000) n;
        insert into kiln.audit select 'acme', 'EVENTS', n + 100000, 0, n, 'requester', 'u' || n % 30, 'ComposeRequested', 'compose', 'c' || n, 1, null from generate_series(1, 20000) n;
        insert into kiln.pipelines select 'acme', 'p' || n, n % 3 > 0, n, 'distro-' || n % 50, '{}' from generate_series(1, 20000) n;
        insert into kiln.blueprints select 'acme', gen_random_uuid()::text, 'blueprint ' || n, null, 1, 'debian-13', 1, n, 'anna', n, 'anna',
          array['acme/w:blueprint', 'acme/w:' || n] from generate_series(1, 20000) n;
        insert into kiln.blueprint_versions select 'acme', 'b' || n % 200, n / 200 + 1, n, 'anna', 'debian-13', 1 from generate_series(1, 20000) n;
        analyze kiln.blueprints; analyze kiln.blueprint_versions; analyze kiln.pipelines; analyze kiln.jobs; analyze kiln.images; analyze kiln.audit`))
      const rows = yield* TenantRows
      const check = (plan: ReadonlyArray<Record<string, unknown>>, what: string) => {
        const text = plan.map((line) => line["QUERY PLAN"]).join("\n")
        assert.match(text, /Index (Only )?Scan|Bitmap Index Scan/, what)
        assert.notMatch(text, /Seq Scan/, `${what}\n${text}`)
      }
      const lists = [
        { listing: attemptList, before: [9000, composeAt(1), "0-build", 1], filters: [{}, { status: "failed" }, { kind: "test" }, { composeId: composeAt(1) }, { worker: "w3" }] },
        { listing: imageList, before: [9000, composeAt(1), 0], filters: [{}, { composeId: composeAt(1) }] },
        { listing: auditList, before: [9000, "EVENTS", 9, 0], filters: [{}, { actorId: "u7" }, { action: "PolicySet" }, { aggregateId: "c9" }] },
        { listing: pipelineList, before: [9000, "p9"], filters: [{ declared: true }, { declared: true, distribution: "distro-7" }], always: { declared: true } },
        { listing: blueprintList, before: [9000, composeAt(1)], filters: [{}, { distribution: "debian-12" }, { name: "blueprint 7" }] },
        { listing: blueprintVersionList, before: [9000, 3], filters: [{ blueprintId: "b7" }], always: { blueprintId: "b8" } }
      ]
      for (const { always, before, filters, listing } of lists) {
        const terms = [["target", "aws"], ["digest", "sha256:77"], ["distribution", "debian-12"], ["architecture", "aarch64"]] as const
        const wanted = [
          ...(listing === imageList ? terms.map(([kind, text]) => ({ wanted: { terms: [termOf(acme, kind, text)], beginnings: [] } })) : []),
          ...(listing === blueprintList ? [{ wanted: { terms: [], beginnings: wordTerms(acme, "blueprint 77") } }] : [])
        ]
        const all: ReadonlyArray<RowFilter<Record<string, unknown>>> = [...filters.map((equal) => ({ equal })), ...wanted, { since: 10, until: 500, ...(always && { equal: always }) }]
        for (const filter of all) {
          for (const page of [{ limit: 21 }, { limit: 21, before }]) {
            check(yield* rows.read(acme, (tx) => rowPage(tx, listing as never, filter as never, page, "explain")), `${listing.projection.name} ${JSON.stringify(filter)}`)
          }
        }
      }
      // As much of all as a month is of some years; without an end as the gateway asks where nothing was said.
      const spans = [{ since: 19_500 }, { since: 100, until: 900 }, { until: 500 }]
      for (const span of spans) {
        const ofOne = [{ by: "total", limit: 2 }, { by: "day", limit: 21 }, { by: "compose", limit: 21 }, { by: "compose", limit: 21, before: composeAt(9) }] as const
        for (const query of ofOne) check(yield* rows.read(acme, (tx) => usagePage(tx, { ...query, ...span }, "explain")), `usage ${JSON.stringify({ ...query, ...span })}`)
        for (const before of [undefined, "acme"]) {
          check(yield* rows.read(acme, (tx) => tenantsUsagePage(tx, { limit: 21, before, ...span }, "explain")), `usage of tenants after ${before} ${JSON.stringify(span)}`)
        }
      }
      for (const before of [undefined, composeAt(9)]) check(yield* rows.read(acme, (tx) => usagePage(tx, { by: "compose", limit: 21, before }, "explain")), "usage by compose")
    }))
})
