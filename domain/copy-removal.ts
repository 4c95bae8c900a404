/** What is said of a copy that goes: who wanted it gone, and what a compose asks to be spared of. */
import { Schema } from "effect"
import type { Compose } from "./compose-state.ts"
import { JobId } from "./ids.ts"
import { targetsOf } from "./job.ts"

/** `asked`: by somebody of its tenant; `retention`: its policy's time or number was over. */
export const RemovalReason = Schema.Literals(["asked", "retention"])
export type RemovalReason = typeof RemovalReason.Type

/** Which copies retention spares: of a compose that is kept for good, and the newest good ones of a pipeline. */
export const Spared = Schema.Struct({ always: Schema.optionalKey(Schema.Boolean), pipeline: Schema.optionalKey(Schema.String) })
export type Spared = typeof Spared.Type

/** By the labels of the request: `keep: "true"` and `pipeline: <name>`. */
export const sparedBy = (labels: Readonly<Record<string, string>> = {}): { readonly spared?: Spared } => {
  const { keep, pipeline } = labels
  const spared: Spared = { ...(keep === "true" && { always: true }), ...(pipeline !== undefined && pipeline !== "" && { pipeline }) }
  return Object.keys(spared).length === 0 ? {} : { spared }
}

export const uploadOf = (image: number, target: number): JobId => JobId.make(`${image}-upload-${target}`)
export const removalOf = (image: number, target: number): JobId => JobId.make(`${image}-delete-${target}`)

/** Removals come after a compose's end, and change nothing of how it ended. */
export const isRemoval = (jobId: string): boolean => jobId.includes("-delete-")

/** The target of a delivered copy, and what lies there; nothing once it is gone. */
export const copyAt = (compose: Compose, image: number, target: number) => {
  const upload = compose.jobs.get(uploadOf(image, target))
  const outcome = upload && compose.outcomes.get(upload.jobId)
  if (outcome?._tag !== "Uploaded" || compose.removed.has(upload!.jobId)) return undefined
  return { ...outcome, target: targetsOf(compose.request!.images[image]!)[target]! }
}
