/** Which copies have had their time. Pure: the clock comes with the question. */
import type { ComposeId, TenantId } from "./ids.ts"
import { type ComposeCopies, type LiveCopy, placeOf } from "./live-copies.ts"
import type { PipelineWords } from "./pipeline-copies.ts"
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
  /** Whose it is, by its compose's label. */
  readonly pipeline?: string
  /** `age`: it is older than it may get. `count`: so many newer ones are there, of the tenant's or of its pipeline's. */
  readonly why: "age" | "count"
}

/**
 * Of one tenant, the oldest first. Copies of composes that are open, or kept, are never among them, nor are those that their
 * pipeline keeps; where none was declared, that is the newest good one with its label.
 */
export const expired = (
  composes: Iterable<ComposeCopies>, { cloud, file }: Retention, now: number, pipelines: PipelineWords = () => undefined
): ReadonlyArray<Expired> => {
  const all = [...composes].map((compose) => ({ compose, word: wordFor(compose, pipelines) }))
  const lastGood = newestGood(all.flatMap(({ compose, word }) => word === undefined ? [compose] : []))
  const loose = all.filter(({ compose: { ended }, word }) => ended !== undefined && ended.spared?.always !== true && word !== "stays")
  const usual = loose.flatMap(({ compose, word }) => word === "goes" || lastGood.has(compose) ? [] : [compose])
  return [
    ...beyond(usual, ({ type }) => type !== "file", cloud ?? usualRetention.cloud, now),
    ...beyond(usual, ({ type }) => type === "file", file ?? usualRetention.file, now),
    ...beyond(loose.flatMap(({ compose, word }) => word === "goes" ? [compose] : []), () => true, { maxCount: 0 }, now)
  ].toSorted((one, other) => one.copy.at - other.copy.at)
}

const wordFor = ({ composeId, ended, tenantId }: ComposeCopies, pipelines: PipelineWords) =>
  ended?.spared?.pipeline === undefined ? undefined : pipelines(tenantId, ended.spared.pipeline, composeId)

const newestGood = (composes: ReadonlyArray<ComposeCopies>): ReadonlySet<ComposeCopies> => {
  const newest = new Map<string, ComposeCopies>()
  for (const compose of composes) {
    const pipeline = compose.ended?.spared?.pipeline
    if (pipeline === undefined || !compose.ended!.succeeded || compose.copies.some(({ condemned }) => condemned)) continue
    if ((newest.get(pipeline)?.ended!.at ?? -1) < compose.ended!.at) newest.set(pipeline, compose)
  }
  return new Set(newest.values())
}

const beyond = (
  composes: ReadonlyArray<ComposeCopies>, isMeant: (copy: LiveCopy) => boolean, { maxAgeMs, maxCount }: KeepRule, now: number
): ReadonlyArray<Expired> => {
  const copies = composes.flatMap(({ composeId, copies, ended, tenantId }) => copies.filter(isMeant).map((copy) =>
    ({ tenantId, composeId, ...placeOf(copy.jobId), copy, ...(ended?.spared?.pipeline !== undefined && { pipeline: ended.spared.pipeline }) })))
    .toSorted((one, other) => other.copy.at - one.copy.at)
  return copies.flatMap((each, place): ReadonlyArray<Expired> => {
    if (each.copy.condemned || now - (each.copy.failedAt ?? -Infinity) < againAfterMs) return []
    if (maxAgeMs !== undefined && maxAgeMs !== "forever" && now - each.copy.at >= maxAgeMs) return [{ ...each, why: "age" }]
    return maxCount !== undefined && place >= maxCount ? [{ ...each, why: "count" }] : []
  })
}
