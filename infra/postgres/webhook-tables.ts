/** Where deliveries of webhooks are kept: no read model, since what an endpoint has answered is nowhere else. */
import { readerRole, readSchema, tenantSetting } from "./reading.ts"

const own = `where d.tenant_id = current_setting('${tenantSetting}', true)`

export const createWebhookTables: ReadonlyArray<string> = [
  "create table if not exists kiln.webhook_positions (stream text primary key, position bigint not null)",
  "create table if not exists kiln.webhook_tenants (tenant_id text primary key)",
  `create table if not exists kiln.webhook_occurrences (
    tenant_id text not null, id text not null, type text not null, subject text not null, at bigint not null,
    stream text not null, sequence bigint not null, body text not null, primary key (tenant_id, id))`,
  "create index if not exists webhook_occurrences_at on kiln.webhook_occurrences (at)",
  `create table if not exists kiln.webhook_deliveries (
    id bigserial primary key, tenant_id text not null, webhook_id text not null, occurrence text not null, lane text not null,
    kind text not null, state text not null default 'waiting', attempts integer not null default 0, planned_at bigint not null,
    not_before bigint not null default 0, attempted_at bigint, took_ms integer, status integer, error text, excerpt text,
    unique (webhook_id, occurrence))`,
  "create index if not exists webhook_deliveries_waiting on kiln.webhook_deliveries (webhook_id, id) where state = 'waiting'",
  "create index if not exists webhook_deliveries_list on kiln.webhook_deliveries (tenant_id, webhook_id, id)",
  "create index if not exists webhook_deliveries_states on kiln.webhook_deliveries (tenant_id, webhook_id, state, id) where state <> 'delivered'",
  "create index if not exists webhook_deliveries_settled on kiln.webhook_deliveries (attempted_at) where state <> 'waiting'",
  "create index if not exists webhook_deliveries_occurrences on kiln.webhook_deliveries (tenant_id, occurrence)",
  "create index if not exists webhook_deliveries_parked on kiln.webhook_deliveries (id) where state = 'parked'",
  "create index if not exists webhook_deliveries_parked_of on kiln.webhook_deliveries (tenant_id, id) where state = 'parked'",
  `create table if not exists kiln.webhook_failing (
    webhook_id text primary key, tenant_id text not null, since bigint not null, failures integer not null, not_before bigint not null)`,
  `create table if not exists kiln.webhook_replays (
    id text primary key, tenant_id text not null, webhook_id text not null, after jsonb, since bigint, up_to jsonb, at jsonb not null default '{}')`,
  `create or replace view ${readSchema}.webhook_deliveries as
    select d.tenant_id, d.webhook_id, d.occurrence, d.id, d.kind, d.state, d.attempts, d.planned_at, d.not_before, d.attempted_at, d.took_ms,
      d.status, d.error, d.excerpt, o.type, o.subject, o.at, o.stream, o.sequence, o.body
    from kiln.webhook_deliveries d join kiln.webhook_occurrences o on o.tenant_id = d.tenant_id and o.id = d.occurrence ${own}`,
  `grant select on ${readSchema}.webhook_deliveries to ${readerRole}`,
  // For operators, over all tenants. Nobody waits for what was sent to try an endpoint.
  `create or replace view ${readSchema}.all_parked_deliveries as
    select d.id, d.tenant_id, d.webhook_id, d.occurrence, d.planned_at, d.attempted_at, d.attempts, d.status, d.error, o.type, o.subject
    from kiln.webhook_deliveries d join kiln.webhook_occurrences o on o.tenant_id = d.tenant_id and o.id = d.occurrence where d.state = 'parked' and d.kind <> 'test'`,
  `grant select on ${readSchema}.all_parked_deliveries to ${readerRole}`,
  `create or replace view ${readSchema}.webhook_failing as
    select d.tenant_id, d.webhook_id, d.since, d.failures, d.not_before from kiln.webhook_failing d ${own}`,
  `grant select on ${readSchema}.webhook_failing to ${readerRole}`
]
