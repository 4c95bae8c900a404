/** Whose composes and pipelines are read: those of tenants that are told of them. Pure. */
import type { TenantId } from "../../domain/ids.ts"
import type { Wanted } from "../../domain/ports/event-log.ts"

export type Watched = ReadonlySet<TenantId> | "everybody"

/** Of more than these the server would have to look up each entry's tenant in a long list. */
const mostByName = 50

export const watchedOf = (listening: ReadonlySet<TenantId>): Watched => listening.size > mostByName ? "everybody" : new Set(listening)

export const isSame = (one: Watched, other: Watched): boolean =>
  one === other || (one !== "everybody" && other !== "everybody" && one.symmetricDifference(other).size === 0)

/** Who has webhooks is always read. */
export const wantedOf = (watched: Watched): ReadonlyArray<Wanted> => [
  { aggregate: "webhooks" },
  ...(["compose", "pipeline"] as const).flatMap((aggregate) =>
    watched === "everybody" ? [{ aggregate }] : Array.from(watched, (tenantId) => ({ aggregate, tenantId })))
]
