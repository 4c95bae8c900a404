/**
 * The one place where rows are kept to their tenant. Queries run as a role that may read nothing but the views made here,
 * and a view shows the rows of the tenant that its transaction was opened for: without one, none.
 *
 * Views take the place of Postgres' own row-level security, since that keeps the planner from using an index for anything
 * but leak-proof operators, which those for words and labels are not. See DECISIONS.md.
 */
import type { Projection } from "../../projections/projection.ts"
import { columnsOf, snake, tableOf } from "./projection-tables.ts"

export const readSchema = "kiln_read"
export const readerRole = "kiln_reader"
/** The setting that names the tenant, for one transaction. */
export const tenantSetting = "kiln.tenant"

/** Roles belong to the whole server, so somebody else may be making this one at the same moment. */
export const createReader: ReadonlyArray<string> = [
  `do $$ begin
    if not exists (select from pg_roles where rolname = '${readerRole}') then create role ${readerRole} nologin; end if;
  exception when duplicate_object or unique_violation then null; end $$`,
  `do $$ begin
    begin
      set local role ${readerRole};
      reset role;
    exception when insufficient_privilege then execute format('grant ${readerRole} to %I', current_user);
    end;
  end $$`,
  `create schema if not exists ${readSchema}`,
  `grant usage on schema ${readSchema} to ${readerRole}`
]

export const viewOf = (projection: Pick<Projection, "name">): string => `${readSchema}.${projection.name}`

/** Of the few read models that operators list over all tenants. */
export const viewOfAll = (projection: Pick<Projection, "name">): string => `${readSchema}.all_${projection.name}`

export const dropViews = (projection: Projection): string => `drop view if exists ${viewOf(projection)}, ${viewOfAll(projection)}`

export const createViews = (projection: Projection): ReadonlyArray<string> => {
  const rows = `select * from ${tableOf(projection, "live")}`
  const own = { name: viewOf(projection), query: `${rows} where tenant_id = current_setting('${tenantSetting}', true)` }
  const views = projection.acrossTenants === true ? [own, { name: viewOfAll(projection), query: rows }] : [own]
  return views.flatMap(({ name, query }) => [`create view ${name} as ${query}`, `grant select on ${name} to ${readerRole}`])
}

/** By name, so that a table with one more column changes no prepared statement. */
export const selectList = (projection: Projection, without: ReadonlyArray<string> = []): string =>
  columnsOf(projection).filter(([name]) => !without.includes(name)).map(([name]) => snake(name)).join(", ")

/** What a transaction begins with to see one tenant's rows. Plans are made for each query: filters differ too much to share one. */
export const asReaderOf =
  `select set_config('role', '${readerRole}', true), set_config('${tenantSetting}', $1, true), set_config('plan_cache_mode', 'force_custom_plan', true)`

export const isMissing = (code: string): boolean => missing.has(code)

/** No such table, schema, role or column, or no right to it yet: the projector has not made it, or a new version is on its way. */
const missing = new Set(["42P01", "3F000", "22023", "42703", "42501"])

