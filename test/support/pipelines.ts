/** A pipeline and what happens to it, for tests to pick from. */
import { ComposeId, Digest, Millis } from "../../domain/ids.ts"
import {
  BuildEnded, type BuildReason, BuildRequested, CheckRequested, type PipelineDefinition, PipelineDeclared, type PipelineMeans, PipelinePromoted
} from "../../domain/pipeline-events.ts"

export const means: PipelineMeans = { builder: "simulated", resolves: true }
export const definition: PipelineDefinition = {
  request: { distribution: "test-distro-2", images: [{ architecture: "x86_64", type: "simulated" }] }
}
export const hour = 3_600_000
export const begun = 1_790_000_000_000
export const after = (ms: number) => Millis.make(begun + ms)

export const idNo = (number: number) => ComposeId.make(`01890000-0000-7000-8000-${String(number).padStart(12, "0")}`)
export const packagesNo = (number: number) => Digest.make(`sha256:${String(number).padStart(64, "0")}`)

export const declared = (more: Partial<PipelineDefinition> = {}, how: Partial<PipelineMeans> = {}) =>
  PipelineDeclared.make({ at: after(0), definition: { ...definition, ...more }, means: { ...means, ...how } })
export const building = (number: number, at = 0, why: BuildReason = "first") =>
  BuildRequested.make({ at: after(at), composeId: idNo(number), number, why })
export const good = (number: number, at = 0, packages: number | undefined = 1) =>
  BuildEnded.make({ at: after(at), number, outcome: "good", ...(packages !== undefined && { packages: packagesNo(packages) }) })
export const failure = { class: "user", message: "no such package" } as const
export const bad = (number: number, at = 0) => BuildEnded.make({ at: after(at), number, outcome: "failed", failure })
export const promoted = (number: number, at = 0) => PipelinePromoted.make({ at: after(at), number, by: "build" })
export const checking = (at: number, id = 900) => CheckRequested.make({ at: after(at), composeId: idNo(id) })
