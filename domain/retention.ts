/** Which copies have had their time. Pure: the clock comes with the question. */
import type { ComposeId, TenantId } from "./ids.ts"
import { type ComposeCopies, type LiveCopy, placeOf } from "./live-copies.ts"
import type { KeepRule, Retention } from "./policy.ts"

const day = 86_400_000

/** What counts where a policy says nothing: what costs money elsewhere goes by itself, what lies in Kiln's own store does not. */
export const usualRetention: Required<Retention> = { cloud: { maxAgeMs: 14 * day }, file: {} }

/** What could not be removed, for want of a right as a rule, is tried again so often. */
const againAfterMs = day

export interface Expired {
  readonly tenantId: TenantId
  readonly composeId: ComposeId
  readonly image: number
  readonly target: number
  readonly copy: LiveCopy
  /** `age`: it is older than it may get. `count`: so many newer ones are there. */
  readonly why: "age" | "count"
}

/** Of one tenant, the oldest first. Copies of composes that are open, or kept, and the newest of each pipeline are never among them. */
export const expired = (composes: Iterable<ComposeCopies>, { cloud, file }: Retention, now: number): ReadonlyArray<Expired> => {
  const all = [...composes]
  const lastGood = newestGood(all)
  const loose = all.filter((compose) => compose.ended !== undefined && compose.ended.spared?.always !== true && !lastGood.has(compose))
  return [
    ...beyond(loose, ({ type }) => type !== "file", cloud ?? usualRetention.cloud, now),
    ...beyond(loose, ({ type }) => type === "file", file ?? usualRetention.file, now)
  ].toSorted((one, other) => one.copy.at - other.copy.at)
}

const newestGood = (composes: ReadonlyArray<ComposeCopies>): ReadonlySet<ComposeCopies> => {
  const newest = new Map<string, ComposeCopies>()
  for (const compose of composes) {
    const pipeline = compose.ended?.spared?.pipeline
    if (pipeline === undefined || !compose.ended!.succeeded || compose.copies.some(({ condemned }) => condemned)) continue
    if ((newest.get(pipeline)?.ended!.at ?? -1) < compose.ended!.at) newest.set(pipeline, compose)
  }
  return new Set(newest.values())
}

const beyond = (composes: ReadonlyArray<ComposeCopies>, isMeant: (copy: LiveCopy) => boolean, { maxAgeMs, maxCount }: KeepRule, now: number): ReadonlyArray<Expired> => {
  const copies = composes.flatMap(({ composeId, copies, tenantId }) => copies.filter(isMeant).map((copy) => ({ tenantId, composeId, ...placeOf(copy.jobId), copy })))
    .toSorted((one, other) => other.copy.at - one.copy.at)
  return copies.flatMap((each, place): ReadonlyArray<Expired> => {
    if (each.copy.condemned || now - (each.copy.failedAt ?? -Infinity) < againAfterMs) return []
    if (maxAgeMs !== undefined && maxAgeMs !== "forever" && now - each.copy.at >= maxAgeMs) return [{ ...each, why: "age" }]
    return maxCount !== undefined && place >= maxCount ? [{ ...each, why: "count" }] : []
  })
}
