import { Effect, Layer } from "effect"
import { TenantId } from "../../domain/ids.ts"
import {
  DeliveriesUnavailable, type DeliveryKey, type Figures, type Plan, type Replay, type Settled, type WaitingDelivery, WebhookDeliveries
} from "../../domain/ports/webhook-deliveries.ts"
import type { Failing } from "../../domain/webhook-queue.ts"
import { WebhookId } from "../../domain/webhook-settings.ts"
import { together } from "../jetstream/together.ts"
import { createSchema } from "./generations.ts"
import { toJson } from "./projection-tables.ts"
import { type Client, Sql } from "./sql.ts"
import { type Transaction, transaction } from "./transaction.ts"
import { createWebhookTables } from "./webhook-tables.ts"

const unavailable = (error: unknown) => new DeliveriesUnavailable({ message: `Postgres: ${(error as Error).message}` })
const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })

export const WebhookDeliveriesPostgres = Layer.effect(WebhookDeliveries, Effect.gen(function*() {
  const { session, sql } = yield* Sql
  const inOne = <A>(run: (tx: Transaction) => Promise<A>) => attempt(() => transaction(sql, run))

  yield* inOne(async (tx) => {
    await createSchema(tx)
    for (const statement of createWebhookTables) await tx.unsafe(statement)
  }).pipe(Effect.tapError(({ message }) => Effect.logWarning(message)), Effect.retry({ times: 3 }))

  /** One statement for all that came while the last was on its way, in the order in which it came. */
  const settle = together<Settled>((batch) => settleAll(sql, batch), { largest: 2 ** 20, size: ({ excerpt = "", error = "" }) => 200 + excerpt.length + error.length })

  return WebhookDeliveries.of({
    alone: (effect) =>
      Effect.scoped(Effect.gen(function*() {
        const { lost, sql: own } = yield* Effect.mapError(session, unavailable)
        yield* attempt(() => own`select pg_advisory_lock(hashtext('kiln/webhooks'))`)
        return yield* Effect.raceFirst(effect, Effect.mapError(lost, unavailable))
      })),
    positions: attempt(async () => {
      const rows = await sql<Array<{ stream: string; position: number }>>`select stream, position from kiln.webhook_positions`
      return new Map(rows.map(({ position, stream }) => [stream, position]))
    }),
    tenants: attempt(async () => (await sql<Array<{ tenant_id: string }>>`select tenant_id from kiln.webhook_tenants`).map((row) => TenantId.make(row.tenant_id))),
    take: (stream, after, upTo, plan) =>
      inOne(async (tx) => {
        await moveOn(tx, stream, after, upTo)
        return await take(tx, plan)
      }),
    waiting: (webhookId, afterId, limit) =>
      attempt(async () => (await sql<Array<Row>>`
        select id, tenant_id, webhook_id, occurrence, lane, kind, attempts, not_before, planned_at from kiln.webhook_deliveries
        where webhook_id = ${webhookId} and state = 'waiting' and id > ${afterId} order by id limit ${limit}`).map(toWaiting)),
    awaited: attempt(async () =>
      (await sql<Array<{ webhook_id: string }>>`select distinct webhook_id from kiln.webhook_deliveries where state = 'waiting'`).map((row) => WebhookId.make(row.webhook_id))),
    body: ({ occurrence, tenantId }) =>
      attempt(async () => (await sql<Array<{ body: string }>>`select body from kiln.webhook_occurrences where tenant_id = ${tenantId} and id = ${occurrence}`)[0]?.body),
    settle: (settled) => attempt(() => settle(settled)),
    parkOlder: (webhookId, before, error) => Effect.asVoid(attempt(() => sql`
      update kiln.webhook_deliveries set state = 'parked', error = coalesce(error, ${error}), attempted_at = coalesce(attempted_at, planned_at)
      where webhook_id = ${webhookId} and state = 'waiting' and planned_at < ${before}`)),
    failing: attempt(async () => {
      const rows = await sql<Array<{ webhook_id: string; since: number; failures: number; not_before: number }>>`select * from kiln.webhook_failing`
      return new Map(rows.map(({ failures, not_before, since, webhook_id }): [WebhookId, Failing] => [WebhookId.make(webhook_id), { since, failures, notBefore: not_before }]))
    }),
    setFailing: (tenantId, webhookId, failing) => Effect.asVoid(attempt(() => failing === undefined
      ? sql`delete from kiln.webhook_failing where webhook_id = ${webhookId}`
      : sql`insert into kiln.webhook_failing (webhook_id, tenant_id, since, failures, not_before)
          values (${webhookId}, ${tenantId}, ${failing.since}, ${failing.failures}, ${failing.notBefore})
          on conflict (webhook_id) do update set since = excluded.since, failures = excluded.failures, not_before = excluded.not_before`)),
    replays: attempt(async () => (await sql<Array<ReplayRow>>`select * from kiln.webhook_replays order by id`).map(toReplay)),
    beginReplay: (id, upTo) => Effect.asVoid(attempt(() => sql`update kiln.webhook_replays set up_to = ${sql.json(upTo)} where id = ${id}`)),
    takeReplay: (id, stream, position, plan) =>
      inOne(async (tx) => {
        await tx`update kiln.webhook_replays set at = at || ${tx.json({ [stream]: position })} where id = ${id}`
        await addOccurrences(tx, plan)
        return await addDeliveries(tx, plan, true)
      }),
    endReplay: (id) => Effect.asVoid(attempt(() => sql`delete from kiln.webhook_replays where id = ${id}`)),
    prune: (before) => attempt(() => prune(sql, before)),
    figures: attempt(async () => {
      const [row] = await sql<Array<{ waiting: number; failed: number; parked: number; oldest: number | null }>>`
        select count(*) filter (where state = 'waiting') as waiting, count(*) filter (where state = 'waiting' and attempts > 0) as failed,
          count(*) filter (where state = 'parked') as parked, min(planned_at) filter (where state = 'waiting') as oldest
        from kiln.webhook_deliveries where state <> 'delivered'`
      return { waiting: row!.waiting, failed: row!.failed, parked: row!.parked, oldestAt: row!.oldest ?? undefined } satisfies Figures
    })
  })
}))

/** Whoever comes with another position than is stored is not alone, or was asleep. */
const moveOn = async (tx: Transaction, stream: string, after: number, upTo: number) => {
  const moved = await tx`
    insert into kiln.webhook_positions as p (stream, position) values (${stream}, ${upTo})
    on conflict (stream) do update set position = excluded.position where p.position = ${after} returning 1`
  if (moved.length === 0) throw new Error(`the position of webhooks in ${stream} has moved`)
}

const take = async (tx: Transaction, plan: Plan): Promise<ReadonlyArray<WaitingDelivery>> => {
  const { disabled, dropped, redeliveries, removed, replays, tenants } = plan
  if (tenants.length > 0) await tx`insert into kiln.webhook_tenants (tenant_id) select unnest(${tenants as ReadonlyArray<string> as Array<string>}::text[]) on conflict do nothing`
  await addOccurrences(tx, plan)
  const planned = await addDeliveries(tx, plan, false)
  if (dropped.length > 0) await drop(tx, dropped)
  const again = redeliveries.length === 0 ? [] : await redeliver(tx, redeliveries, plan.now)
  for (const { after, id, since, tenantId, webhookId } of replays) {
    await tx`insert into kiln.webhook_replays (id, tenant_id, webhook_id, after, since)
      values (${id}, ${tenantId}, ${webhookId}, ${after === undefined ? null : tx.json(after)}, ${since ?? null}) on conflict do nothing`
  }
  if (disabled.length > 0) await park(tx, disabled)
  if (removed.length > 0) await remove(tx, removed)
  const gone = new Set([...disabled, ...removed])
  return [...planned, ...again].filter(({ once, webhookId }) => once || !gone.has(webhookId)).toSorted((one, other) => one.id - other.id)
}

const addOccurrences = async (tx: Transaction, { occurrences }: Pick<Plan, "occurrences">) => {
  if (occurrences.length === 0) return
  const rows = occurrences.map(({ at, body, id, position, subject, tenantId, type }) => ({ tenant_id: tenantId, id, type, subject, at, ...position, body }))
  await tx`insert into kiln.webhook_occurrences select * from json_populate_recordset(null::kiln.webhook_occurrences, ${toJson(rows)}::text::json) on conflict do nothing`
}

interface Row {
  readonly id: number
  readonly tenant_id: string
  readonly webhook_id: string
  readonly occurrence: string
  readonly lane: string
  readonly kind: "event" | "test" | "again"
  readonly attempts: number
  readonly not_before: number
  readonly planned_at: number
}

const toWaiting = ({ attempts, id, kind, lane, not_before, occurrence, planned_at, tenant_id, webhook_id }: Row): WaitingDelivery => ({
  id, lane, attempts, occurrence, notBefore: not_before, plannedAt: planned_at, once: kind === "test", urgent: kind !== "event" && attempts === 0,
  tenantId: TenantId.make(tenant_id), webhookId: WebhookId.make(webhook_id)
})

const columns = "d.id, d.tenant_id, d.webhook_id, d.occurrence, d.lane, d.kind, d.attempts, d.not_before, d.planned_at"

/** In the order in which they are given, which their ids keep. */
const addDeliveries = async (tx: Transaction, { deliveries, now }: Pick<Plan, "deliveries" | "now">, again: boolean) => {
  if (deliveries.length === 0) return []
  const rows = deliveries.map(({ lane, occurrence, once, tenantId, webhookId }, place) =>
    ({ place, tenant_id: tenantId, webhook_id: webhookId, occurrence, lane, kind: once ? "test" : "event" }))
  const added = await tx<Array<Row>>`
    insert into kiln.webhook_deliveries as d (tenant_id, webhook_id, occurrence, lane, kind, planned_at)
    select tenant_id, webhook_id, occurrence, lane, kind, ${now}::bigint
    from json_to_recordset(${toJson(rows)}::text::json) as r(place int, tenant_id text, webhook_id text, occurrence text, lane text, kind text) order by place
    on conflict (webhook_id, occurrence) ${again
      ? tx`do update set id = nextval('kiln.webhook_deliveries_id_seq'), state = 'waiting', attempts = 0, planned_at = excluded.planned_at, not_before = 0
          where d.state <> 'waiting'`
      : tx`do nothing`}
    returning ${tx.unsafe(columns)}`
  return added.map(toWaiting).toSorted((one, other) => one.id - other.id)
}

const keyRows = (keys: ReadonlyArray<DeliveryKey>) =>
  toJson(keys.map(({ occurrence, tenantId, webhookId }) => ({ tenant_id: tenantId, webhook_id: webhookId, occurrence })))

const drop = async (tx: Transaction, keys: ReadonlyArray<DeliveryKey>) =>
  void await tx`
    delete from kiln.webhook_deliveries as d using json_to_recordset(${keyRows(keys)}::text::json) as r(tenant_id text, webhook_id text, occurrence text)
    where d.tenant_id = r.tenant_id and d.webhook_id = r.webhook_id and d.occurrence = r.occurrence and d.state = 'parked'`

const redeliver = async (tx: Transaction, keys: ReadonlyArray<DeliveryKey>, now: number) => {
  const again = await tx<Array<Row>>`
    update kiln.webhook_deliveries as d set id = nextval('kiln.webhook_deliveries_id_seq'), state = 'waiting', kind = 'again', lane = 'again.' || d.occurrence,
      attempts = 0, planned_at = ${now}::bigint, not_before = 0
    from json_to_recordset(${keyRows(keys)}::text::json) as r(tenant_id text, webhook_id text, occurrence text)
    where d.tenant_id = r.tenant_id and d.webhook_id = r.webhook_id and d.occurrence = r.occurrence and d.state <> 'waiting'
    returning ${tx.unsafe(columns)}`
  return again.map(toWaiting)
}

/** What somebody asks to be tried goes out all the same. */
const park = async (tx: Transaction, webhooks: ReadonlyArray<string>) => {
  await tx`update kiln.webhook_deliveries set state = 'parked', error = coalesce(error, 'the webhook was disabled'), attempted_at = coalesce(attempted_at, planned_at)
    where webhook_id = any(${webhooks as Array<string>}) and state = 'waiting' and kind <> 'test'`
  await forget(tx, webhooks)
}

const remove = async (tx: Transaction, webhooks: ReadonlyArray<string>) => {
  await tx`delete from kiln.webhook_deliveries where webhook_id = any(${webhooks as Array<string>})`
  await forget(tx, webhooks)
}

const forget = async (tx: Transaction, webhooks: ReadonlyArray<string>) => {
  await tx`delete from kiln.webhook_failing where webhook_id = any(${webhooks as Array<string>})`
  await tx`delete from kiln.webhook_replays where webhook_id = any(${webhooks as Array<string>})`
}

/** What was parked or asked for again meanwhile has another state or another id, and stays. */
const settleAll = async (sql: Client, batch: ReadonlyArray<Settled>) => {
  const rows = batch.map(({ attemptedAt, attempts, error, excerpt, id, notBefore, state, status, tookMs }) =>
    ({ id, state, attempts, not_before: notBefore, attempted_at: attemptedAt, took_ms: tookMs, status, error, excerpt }))
  await sql`
    update kiln.webhook_deliveries as d set state = r.state, attempts = r.attempts, not_before = r.not_before, attempted_at = r.attempted_at,
      took_ms = r.took_ms, status = r.status, error = r.error, excerpt = r.excerpt
    from json_to_recordset(${toJson(rows)}::text::json) as r(id bigint, state text, attempts int, not_before bigint, attempted_at bigint, took_ms int, status int, error text, excerpt text)
    where d.id = r.id and d.state = 'waiting'`
}

const chunk = 10_000

const prune = async (sql: Client, before: number): Promise<number> => {
  let total = 0
  for (;;) {
    const { count } = await sql`delete from kiln.webhook_deliveries where id in (
      select id from kiln.webhook_deliveries where state <> 'waiting' and attempted_at < ${before} limit ${chunk})`
    total += count
    if (count < chunk) break
  }
  for (;;) {
    const { count } = await sql`delete from kiln.webhook_occurrences where (tenant_id, id) in (
      select o.tenant_id, o.id from kiln.webhook_occurrences o where o.at < ${before} and not exists (
        select from kiln.webhook_deliveries d where d.tenant_id = o.tenant_id and d.occurrence = o.id) limit ${chunk})`
    if (count < chunk) return total
  }
}

interface ReplayRow {
  readonly id: string
  readonly tenant_id: string
  readonly webhook_id: string
  readonly after: Replay["after"] | null
  readonly since: number | null
  readonly up_to: Replay["upTo"] | null
  readonly at: Replay["at"]
}

const toReplay = ({ after, at, id, since, tenant_id, up_to, webhook_id }: ReplayRow): Replay => ({
  id, at, after: after ?? undefined, since: since ?? undefined, upTo: up_to ?? undefined, tenantId: TenantId.make(tenant_id), webhookId: WebhookId.make(webhook_id)
})
