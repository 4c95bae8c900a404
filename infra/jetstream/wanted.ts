/** How the subjects begin on which that lies in a stream which somebody wants. */
import { isPeriodic } from "../../domain/periods.ts"
import type { Wanted } from "../../domain/ports/event-log.ts"
import type { AggregateKind } from "../../domain/recorded.ts"

/** Nothing: all of the stream; none: nothing of it. A stream that ends has kinds of its own alone. */
export const beginningsOf = (prefix: string, ends: boolean, only: AggregateKind | ReadonlyArray<Wanted> | undefined): ReadonlyArray<string> | undefined => {
  if (only === undefined) return undefined
  const wanted = (typeof only === "string" ? [{ aggregate: only }] : only).filter(({ aggregate }) => !ends || isPeriodic(aggregate))
  if (ends && wanted.some(({ tenantId }) => tenantId === undefined)) return undefined
  return wanted.map(({ aggregate, tenantId = "*" }) => `${prefix}.${tenantId}.${aggregate}.`)
}
