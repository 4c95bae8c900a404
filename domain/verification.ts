/** To build an image once more, from what it was built from, and to say whether the same comes out. */
import { Schema } from "effect"
import { Artifact, Blob, ToolVersions } from "./artifact.ts"
import { ComposeId, Digest, WorkerId } from "./ids.ts"
import { Difference } from "./image-difference.ts"

/** What a compose is for that verifies: the image of another one, as that was built. */
export const Verifies = Schema.Struct({
  composeId: ComposeId,
  image: Schema.Int,
  manifest: Digest,
  artifact: Artifact,
  /** Of its builder, where that has any and the event says so. */
  revision: Schema.optionalKey(Schema.String),
  /** The packages it was resolved to, where its builder resolves. */
  lock: Schema.optionalKey(Blob),
  /** Of the programs that made it, where its builder tells. */
  tools: Schema.optionalKey(ToolVersions),
  /** Who built it: somebody else is asked first. */
  worker: WorkerId
})
export type Verifies = typeof Verifies.Type

/** `same-contents`: every file is the same, other bytes lie around them. */
export const Verdict = Schema.Literals(["identical", "same-contents", "different"])
export type Verdict = typeof Verdict.Type

const most = 200
const mostText = 48 * 1024

/** `more`: how many differences are not listed. `note`: why none are, though it differs, or what it may come from. */
export const verificationFields = {
  verdict: Verdict,
  manifest: Digest,
  /** What was made this time. It is not kept. */
  artifact: Artifact,
  differences: Schema.Array(Difference).check(Schema.isMaxLength(most)),
  more: Schema.Int,
  note: Schema.optionalKey(Schema.String)
}

const mostTools = 12

/** Which programs had other versions when it was built first than here, as a clause; nothing where either is unknown. */
export const otherTools = (before: typeof ToolVersions.Type | undefined, here: typeof ToolVersions.Type | undefined): string | undefined => {
  if (before === undefined || here === undefined) return undefined
  const other = [...new Set([...Object.keys(before), ...Object.keys(here)])].toSorted().filter((name) => before[name] !== here[name])
  if (other.length === 0) return undefined
  const each = other.slice(0, mostTools).map((name) => `${name} ${before[name] ?? "(none)"}, now ${here[name] ?? "none"}`)
  const more = other.length > mostTools ? `; and ${other.length - mostTools} more` : ""
  return `it was built first by other versions of the worker's tools, which may be all the difference: ${each.join("; ")}${more}`
}

/** As many as an event may carry. */
export const listed = (differences: ReadonlyArray<Difference>, more = 0): { readonly differences: ReadonlyArray<Difference>; readonly more: number } => {
  const first: Array<Difference> = []
  let text = 0
  for (const difference of differences.slice(0, most)) {
    text += JSON.stringify(difference).length
    if (text > mostText) break
    first.push(difference)
  }
  return { differences: first, more: more + differences.length - first.length }
}
