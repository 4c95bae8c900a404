/** Reservations whose composes have not been seen to end, folded from the log: what has to be settled, and what never appeared. */
import { isEnd } from "./compose-ending.ts"
import type { ComposeId, Millis, TenantId } from "./ids.ts"
import type { Position, Recorded } from "./recorded.ts"

export interface OpenReservation {
  readonly at: Millis
  /** The compose is in the log. */
  readonly requested: boolean
}

/** A compose that ended, at this revision of it and this place. */
export interface EndedCompose {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  readonly revision: number
  readonly position: Position
}

/** Mutable; one fiber owns it. */
export class OpenReservations {
  readonly #tenants: Map<TenantId, Map<ComposeId, OpenReservation>>

  constructor(entries: Iterable<readonly [TenantId, ComposeId, OpenReservation]> = []) {
    this.#tenants = new Map()
    for (const [tenantId, composeId, reservation] of entries) this.#of(tenantId).set(composeId, reservation)
  }

  /** Answers with the compose, if this was the end of one that had a reservation, or may count by its bytes. */
  record(entry: Recorded, countsBytes: (tenantId: TenantId) => boolean): EndedCompose | undefined {
    if (entry.aggregate === "account") return void this.#recordAccount(entry)
    if (entry.aggregate !== "compose") return undefined
    const composeId = entry.id as ComposeId
    const reservation = this.#tenants.get(entry.tenantId)?.get(composeId)
    if (reservation !== undefined && !reservation.requested) this.#of(entry.tenantId).set(composeId, { ...reservation, requested: true })
    if (!entry.events.some(isEnd) || (reservation === undefined && !countsBytes(entry.tenantId))) return undefined
    return { tenantId: entry.tenantId, composeId, revision: entry.revision, position: entry.position }
  }

  *entries(): Generator<readonly [TenantId, ComposeId, OpenReservation]> {
    for (const [tenantId, own] of this.#tenants) for (const [composeId, reservation] of own) yield [tenantId, composeId, reservation]
  }

  /** Those of before, whose composes are not there. */
  *overdue(before: number): Generator<readonly [TenantId, ComposeId]> {
    for (const [tenantId, composeId, { at, requested }] of this.entries()) if (!requested && at < before) yield [tenantId, composeId]
  }

  #recordAccount({ events, tenantId }: Recorded<"account">): void {
    const gone = (ids: ReadonlyArray<ComposeId>) => {
      const own = this.#tenants.get(tenantId)
      for (const id of ids) own?.delete(id)
      if (own?.size === 0) this.#tenants.delete(tenantId)
    }
    for (const event of events) {
      if (event._tag === "QuotaReserved") {
        const own = this.#of(tenantId)
        for (const { composeId } of event.composes) own.set(composeId, { at: event.at, requested: false })
      }
      if (event._tag === "QuotaSettled") gone(event.composes.map(({ composeId }) => composeId))
      if (event._tag === "QuotaReleased") gone(event.composeIds)
    }
  }

  #of(tenantId: TenantId): Map<ComposeId, OpenReservation> {
    const own = this.#tenants.get(tenantId) ?? new Map<ComposeId, OpenReservation>()
    this.#tenants.set(tenantId, own)
    return own
  }
}
