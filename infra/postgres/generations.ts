/** Tables as wholes: made, put in another's place, compared, dropped. Each a function of one transaction. */
import type { TenantId } from "../../domain/ids.ts"
import type { Projection } from "../../projections/projection.ts"
import type { Generation, Part } from "../../projections/projection-store.ts"
import { checkpointName, createIndexes, createTable, keyColumns, leaveUnanalysed, schema, tableOf } from "./projection-tables.ts"
import { createReader, createViews, dropViews } from "./reading.ts"
import type { Transaction } from "./transaction.ts"

export const createSchema = async (tx: Transaction) => {
  // Two processes starting at once would both make the schema.
  await tx`select pg_advisory_xact_lock(hashtext('kiln/schema'))`
  await tx.unsafe(`create schema if not exists ${schema}`)
  await tx.unsafe(`create table if not exists ${schema}.checkpoints (
    projection text not null, stream text not null, position bigint not null, primary key (projection, stream))`)
  await tx.unsafe(`create table if not exists ${schema}.projections (name text primary key, version integer not null, built_at timestamptz not null default now())`)
  await tx.unsafe(`create sequence if not exists ${schema}.changes`)
  await tx.unsafe(`alter table ${schema}.projections add column if not exists changes bigint not null default nextval('${schema}.changes')`)
  await tx.unsafe(`alter table ${schema}.projections add column if not exists part text not null default ''`)
  await tx.unsafe(`create table if not exists ${schema}.parked_aggregates (
    projection text not null, tenant_id text not null, aggregate text not null, aggregate_id text not null, stream text not null,
    sequence bigint not null, reason text not null, parked_at timestamptz not null default now(),
    primary key (projection, tenant_id, aggregate, aggregate_id))`)
  for (const statement of createReader) await tx.unsafe(statement)
}

/** Rows of the live table are no more those that its projector wrote last. */
export const tellChange = async (tx: Transaction, projection: Projection) =>
  void await tx`update kiln.projections set changes = nextval('kiln.changes') where name = ${checkpointName(projection, "live")}`

/** `empty`: made just now, to be filled from the live one; it is on record when that is done. */
export const prepareTable = async (
  tx: Transaction, projection: Projection, generation: Generation, part?: Part
): Promise<{ readonly outdated: boolean; readonly empty?: true }> => {
  await tx`select pg_advisory_xact_lock(hashtext('kiln/schema'))`
  const name = checkpointName(projection, generation)
  const partName = part?.name ?? ""
  const [known] = await tx<Array<{ version: number; part: string }>>`select version, part from kiln.projections where name = ${name}`
  if (part !== undefined && generation === "rebuild") {
    const [live] = await tx<Array<{ version: number }>>`select version from kiln.projections where name = ${checkpointName(projection, "live")}`
    if (live?.version !== projection.version) return { outdated: true }
  }
  if (known !== undefined && (generation === "live" || known.version === projection.version && known.part === partName)) {
    if (generation === "live") await ensureView(tx, projection)
    return { outdated: known.version !== projection.version }
  }
  await dropTable(tx, projection, generation)
  await tx.unsafe(createTable(projection, generation))
  if (generation === "live") await makeIndexes(tx, projection, generation)
  if (part?.from !== undefined) return { outdated: false, empty: true }
  await tx`insert into kiln.projections (name, version, part) values (${name}, ${projection.version}, ${partName})`
  if (generation === "live") await ensureView(tx, projection)
  return { outdated: false }
}

/** Places first: what comes into the live table meanwhile is then after them, and so is taken in once more. */
export const copyLive = async (tx: Transaction, projection: Projection, generation: Generation, { from, name: partName, tenantId }: Part) => {
  const [live, name] = [checkpointName(projection, "live"), checkpointName(projection, generation)]
  const ofTenant = tenantId === undefined ? tx`` : tx`and tenant_id = ${tenantId}`
  await tx`insert into kiln.checkpoints (projection, stream, position)
    select ${name}, stream, least(position, (${tx.json(Object.fromEntries(from ?? []))}::json ->> stream)::bigint)
    from kiln.checkpoints where projection = ${live}`
  await tx`insert into kiln.parked_aggregates (projection, tenant_id, aggregate, aggregate_id, stream, sequence, reason, parked_at)
    select ${name}, tenant_id, aggregate, aggregate_id, stream, sequence, reason, parked_at
    from kiln.parked_aggregates where projection = ${live} ${ofTenant}`
  await tx`insert into ${tx.unsafe(tableOf(projection, generation))} select * from ${tx.unsafe(tableOf(projection, "live"))} where true ${ofTenant}`
  await tx`insert into kiln.projections (name, version, part) values (${name}, ${projection.version}, ${partName})`
}

/** A table that is filled at one go gets its indexes at the end, which takes a fraction of the time; the key is there from the beginning. */
export const makeIndexes = async (tx: Transaction, projection: Projection, generation: Generation) => {
  const [{ count } = { count: 0 }] = await tx<Array<{ count: number }>>`
    select count(*)::int as count from pg_indexes where schemaname = 'kiln' and tablename = ${checkpointName(projection, generation)}`
  if (count > 1) return
  for (const statement of [...createIndexes(projection, generation), ...leaveUnanalysed(projection, generation)]) await tx.unsafe(statement)
  await tx.unsafe(`analyze ${tableOf(projection, generation)}`)
}

const ensureView = async (tx: Transaction, projection: Projection) => {
  const wanted = projection.acrossTenants === true ? [projection.name, `all_${projection.name}`] : [projection.name]
  const there = await tx`select 1 from pg_views where schemaname = 'kiln_read' and viewname = any(${wanted})`
  if (there.length === wanted.length) return
  await tx.unsafe(dropViews(projection))
  for (const statement of createViews(projection)) await tx.unsafe(statement)
}

export const dropTable = async (tx: Transaction, projection: Projection, generation: Generation) => {
  const name = checkpointName(projection, generation)
  if (generation === "live") await tx.unsafe(dropViews(projection))
  await tx.unsafe(`drop table if exists ${tableOf(projection, generation)}`)
  await tx`delete from kiln.checkpoints where projection = ${name}`
  await tx`delete from kiln.parked_aggregates where projection = ${name}`
  await tx`delete from kiln.projections where name = ${name}`
}

/** Queries that run meanwhile are waited for, but not so long that all others queue up behind. */
const patience = "2s"

export const swapTables = async (tx: Transaction, projection: Projection): Promise<boolean> => {
  const [live, rebuilt] = [checkpointName(projection, "live"), checkpointName(projection, "rebuild")]
  // The projector needs this lock to commit: it waits here, and finds its checkpoint moved.
  await tx`select 1 from kiln.checkpoints where projection in (${live}, ${rebuilt}) order by projection, stream for update`
  const [behind] = await tx<Array<{ count: number }>>`
    select count(*)::int as count from kiln.checkpoints l left join kiln.checkpoints r
      on r.projection = ${rebuilt} and r.stream = l.stream
    where l.projection = ${live} and coalesce(r.position, 0) < l.position`
  if ((behind?.count ?? 0) > 0) return false
  await makeIndexes(tx, projection, "rebuild")
  await tx.unsafe(`set local lock_timeout = '${patience}'`)
  await dropTable(tx, projection, "live")
  await tx.unsafe(`alter table ${tableOf(projection, "rebuild")} rename to ${projection.name}`)
  for (const statement of createViews(projection)) await tx.unsafe(statement)
  await tx`update kiln.checkpoints set projection = ${live} where projection = ${rebuilt}`
  await tx`update kiln.parked_aggregates set projection = ${live} where projection = ${rebuilt}`
  await tx`update kiln.projections set name = ${live}, part = '', built_at = now() where name = ${rebuilt}`
  return true
}

/** Both tables are of one version and so have the same columns in the same order. */
export const replaceRowsOf = async (tx: Transaction, projection: Projection, tenantId: TenantId) => {
  const [live, rebuilt] = [checkpointName(projection, "live"), checkpointName(projection, "rebuild")]
  await tx`delete from kiln.parked_aggregates where projection = ${live} and tenant_id = ${tenantId}`
  await tx`update kiln.parked_aggregates set projection = ${live} where projection = ${rebuilt} and tenant_id = ${tenantId}`
  await tx.unsafe(`delete from ${tableOf(projection, "live")} where tenant_id = $1`, [tenantId])
  await tx.unsafe(`insert into ${tableOf(projection, "live")} select * from ${tableOf(projection, "rebuild")} where tenant_id = $1`, [tenantId])
  await tellChange(tx, projection)
  await dropTable(tx, projection, "rebuild")
}

const shown = 10

export const differingRows = async (tx: Transaction, projection: Projection, generation: Generation) => {
  const [one, other] = [tableOf(projection, "live"), tableOf(projection, generation)]
  const keys = keyColumns(projection).join(", ")
  const found = await tx.unsafe<Array<Record<string, unknown> & { total: number }>>(`
    with different as (select ${keys} from (select * from ${one} except select * from ${other}) l
      union select ${keys} from (select * from ${other} except select * from ${one}) r)
    select ${keys}, (select count(*)::int from different) as total from different order by ${keys} limit ${shown}`)
  return {
    count: found[0]?.total ?? 0,
    keys: found.map((row) => keyColumns(projection).map((column) => String(row[column])).join(" "))
  }
}
