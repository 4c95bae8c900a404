/** The handlers of read models: each a filter, a list and a translation. */
import { Clock, Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import { policyOf } from "../../domain/policy.ts"
import { StandingPolicies } from "../../domain/ports/standing-policies.ts"
import { costOf, type Prices } from "../../domain/prices.ts"
import { accounts } from "../../projections/accounts.ts"
import { auditList } from "../../projections/audit.ts"
import { imageList } from "../../projections/images.ts"
import { attemptList } from "../../projections/job-attempts.ts"
import type { Listing } from "../../projections/rows.ts"
import { Rows } from "../../projections/rows.ts"
import { RunningJobs } from "../../projections/running-jobs.ts"
import { type TermKind, termOf } from "../../projections/terms.ts"
import { type UsageBy, type UsageSum, usualUsageSince } from "../../projections/usage.ts"
import { Accounts } from "../accounts.ts"
import { CurrentIdentity } from "./api/authorization.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { time } from "./compose-details.ts"
import { GatewayConfig } from "./config.ts"
import { fault } from "./faults.ts"
import { attemptItem, auditItem, imageItem, tenantItem } from "./history-items.ts"
import { orUnavailable } from "./find-compose.ts"
import { linked, pageOf } from "./list-page.ts"
import { operator, operatorOf } from "./operators.ts"
import { StandingPrices } from "./prices.ts"
import { quotaView } from "./quota-view.ts"

export const HistoryLive = HttpApiBuilder.group(KilnApi, "history", Effect.fnUntraced(function*(handlers) {
  const rows = yield* Rows
  const prices = yield* StandingPrices
  const { operatorTenant } = yield* GatewayConfig
  const known = yield* Accounts
  const runningJobs = yield* RunningJobs
  const file = yield* StandingPolicies

  const withQuota = Effect.fnUntraced(function*(item: ReturnType<typeof tenantItem>) {
    const { tenant } = item
    const [account, running] = yield* Effect.all([known.recent(tenant), runningJobs.count(tenant)], { concurrency: 2 }).pipe(orUnavailable)
    const { rules, running_jobs } = quotaView(tenant, account, policyOf(file, tenant, account.override), running, yield* Clock.currentTimeMillis)
    return { ...item, running_jobs, rules }
  })

  return handlers.handleAll({
    jobs: Effect.fnUntraced(function*({ query, request }) {
      const { tenantId } = yield* CurrentIdentity
      const { compose, kind, status, worker } = query
      const filter = { equal: { composeId: compose, kind, status, worker }, ...within(query) }
      const page = yield* pageOf(query, ["number", "string", "string", "number"],
        (limit, before) => rows.list(tenantId, attemptList, filter, { limit, before }), { item: attemptItem, valuesOf: valuesOf(attemptList) })
      return linked(page, request.url)
    }),

    images: Effect.fnUntraced(function*({ query, request }) {
      const { tenantId } = yield* CurrentIdentity
      const { architecture, compose, digest, distribution, target, type } = query
      const terms = Object.entries({ architecture, digest, distribution, target, type }).flatMap(([kind, value]) =>
        value === undefined ? [] : [termOf(tenantId, kind as TermKind, value)])
      const filter = { equal: { composeId: compose }, wanted: { terms, beginnings: [] }, ...within(query) }
      const page = yield* pageOf(query, ["number", "string", "number"],
        (limit, before) => rows.list(tenantId, imageList, filter, { limit, before }), { item: imageItem, valuesOf: valuesOf(imageList) })
      return linked(page, request.url)
    }),

    usage: Effect.fnUntraced(function*({ query, request }) {
      const identity = yield* CurrentIdentity
      const { by = "total", tenant = identity.tenantId } = query
      if (by === "tenant") {
        yield* operator(operatorTenant)
        if (query.tenant !== undefined) return yield* fault("query", "tenant", "does not go with by=tenant, which is of all of them")
      } else if (tenant !== identity.tenantId) yield* operatorOf(operatorTenant, tenant)
      const said = within(query)
      const span = said.since === undefined && said.until === undefined ? { since: usualUsageSince(yield* Clock.currentTimeMillis), until: undefined } : said
      const page = yield* pageOf(query, ["string"], (limit, before) => {
        const asked = { ...span, limit, before: before?.[0] as string | undefined }
        return by === "tenant" ? rows.usageOfTenants(asked) : rows.usage(tenant, { ...asked, by })
      }, { item: usageItem(by, prices), valuesOf: ({ key }) => [key] })
      const about = { ...(by !== "tenant" && { tenant }), by, ...times(span), ...(prices !== undefined && { currency: prices.currency }) }
      return linked({ ...about, ...page }, request.url)
    }),

    audit: Effect.fnUntraced(function*({ query, request }) {
      const identity = yield* CurrentIdentity
      const { action, actor, id, tenant = identity.tenantId } = query
      yield* operatorOf(operatorTenant, tenant)
      const filter = { equal: { actorId: actor, action, aggregateId: id }, ...within(query) }
      const page = yield* pageOf(query, ["number", "string", "number", "number"],
        (limit, before) => rows.list(tenant, auditList, filter, { limit, before }), { item: auditItem, valuesOf: valuesOf(auditList) })
      return linked(page, request.url)
    }),

    tenants: Effect.fnUntraced(function*({ query, request }) {
      yield* operator(operatorTenant)
      const page = yield* pageOf(query, ["string"],
        (limit, before) => rows.tenants(accounts, { limit, after: before?.[0] as string | undefined }),
        { item: tenantItem, valuesOf: ({ tenantId }) => [tenantId] })
      const items = yield* Effect.forEach(page.items, withQuota, { concurrency: 4 })
      return linked({ ...page, items }, request.url)
    })
  })
}))

const within = ({ since, until }: { readonly since?: string; readonly until?: string }) =>
  ({ since: since === undefined ? undefined : Date.parse(since), until: until === undefined ? undefined : Date.parse(until) })

const times = ({ since, until }: ReturnType<typeof within>) =>
  ({ ...(since !== undefined && { since: time(since) }), ...(until !== undefined && { until: time(until) }) })

const valuesOf = <Row extends object>({ order }: { readonly order: Listing<Row>["order"] }) => (row: Row) =>
  order.map((field) => row[field] as string | number)

const usageItem = (by: UsageBy, prices: Prices | undefined) => (sum: UsageSum) => ({
  ...(by === "day" && { day: sum.key }),
  ...(by === "compose" && { compose: sum.key as never }),
  ...(by === "tenant" && { tenant: sum.key as never }),
  attempts: sum.attempts,
  build_minutes: minutes(sum.buildMs),
  test_minutes: minutes(sum.testMs),
  other_minutes: minutes(sum.otherMs),
  cpu_seconds: sum.cpuMs / 1000,
  stored_bytes: sum.storedBytes,
  sent_bytes: sum.sentBytes,
  cloud_calls: sum.cloudCalls,
  ...(prices !== undefined && { cost: costOf(sum, prices) })
})

const minutes = (millis: number) => Math.round(millis / 60) / 1000
