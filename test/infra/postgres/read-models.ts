/** Read models in an empty database, filled by hand from what a log would say. */
import { Effect, Layer } from "effect"
import { type ComposeEvent, ComposeRequested } from "../../../domain/compose-events.ts"
import type { SealedComposeRequest } from "../../../domain/compose-request.ts"
import { ComposeId, Millis, TenantId } from "../../../domain/ids.ts"
import { composeRef, type LogEntry, type Recorded } from "../../../domain/recorded.ts"
import { ProjectionStorePostgres } from "../../../infra/postgres/projection-store-postgres.ts"
import { SqlLive } from "../../../infra/postgres/sql.ts"
import { TenantRowsLive } from "../../../infra/postgres/tenant-rows.ts"
import { projections } from "../../../projections/all.ts"
import type { Projection } from "../../../projections/projection.ts"
import { ProjectionStore } from "../../../projections/projection-store.ts"
import { request } from "../../support/composes.ts"
import { TestDatabase } from "../../support/servers.ts"

export const ReadModels = Layer.merge(ProjectionStorePostgres, TenantRowsLive).pipe(
  Layer.provideMerge(Layer.unwrap(Effect.map(TestDatabase, (url) => SqlLive(url)))), Layer.provideMerge(TestDatabase.layer))

export const acme = TenantId.make("acme")
export const birch = TenantId.make("birch")
export const composeAt = (n: number) => ComposeId.make(`01890000-0000-7000-8000-${String(n).padStart(12, "0")}`)

export const start = 1_790_000_000_000
let sequence = 0

export const decided = (tenantId: TenantId, id: ComposeId, revision: number, ...events: [ComposeEvent, ...Array<ComposeEvent>]): Recorded<"compose"> => {
  sequence += 1
  return {
    _tag: "Recorded", ...composeRef(tenantId, id), messageId: `m${sequence}`, at: Millis.make(start + sequence * 1000),
    actor: { kind: "requester", id: "anna" }, events, revision, position: { stream: "EVENTS", sequence }
  }
}

export const asked = (tenantId: TenantId, n: number, change: Partial<SealedComposeRequest> = {}): Recorded<"compose"> =>
  decided(tenantId, composeAt(n), 1,
    ComposeRequested.make({ composeId: composeAt(n), request: { ...request, ...change }, builder: "debian", resolves: true }))

export const named = (name: string): Projection => projections.get(name)!

/** As the projector does it: after what was taken in before. */
export const take = Effect.fnUntraced(function*(projection: Projection, entries: ReadonlyArray<LogEntry>) {
  const store = yield* ProjectionStore
  const after = yield* store.checkpoint(projection, "live", "EVENTS")
  return yield* store.apply(projection, "live", { stream: "EVENTS", after, upTo: entries.at(-1)!.position.sequence, entries })
})

export const prepareAll = Effect.flatMap(ProjectionStore, (store) =>
  Effect.forEach(projections.values(), (projection) => store.prepare(projection, "live"), { discard: true }))
