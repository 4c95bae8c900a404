/** What a pipeline says of the copies of its builds, beside its tenant's retention. */
import type { ComposeId, TenantId } from "./ids.ts"
import type { Pipeline } from "./pipeline.ts"

/** `stays`, or `goes`, whatever the tenant's retention says; `usual`: that decides. */
export type PipelineWord = "stays" | "goes" | "usual"

/** Nothing of what was never declared: then labels alone tell what belongs together. */
export type PipelineWords = (tenantId: TenantId, pipeline: string, composeId: ComposeId) => PipelineWord | undefined

export const wordOf = ({ builds, definition, lastGood, promoted, status }: Pipeline, composeId: ComposeId): PipelineWord | undefined => {
  if (status === "absent") return undefined
  if (status === "deleted") return "usual"
  if (composeId === lastGood?.composeId || composeId === promoted?.composeId) return "stays"
  const build = builds.find((each) => each.composeId === composeId)
  if (build === undefined || definition?.keep === undefined) return "usual"
  const kept = builds.filter(({ outcome }) => outcome === "good").slice(0, definition.keep)
  if (kept.includes(build)) return "stays"
  // What failed after the last good one is still of interest.
  return build.outcome !== undefined && build.number < (lastGood?.number ?? 0) ? "goes" : "usual"
}
