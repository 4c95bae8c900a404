/** What can be asked of a pipeline. */
import { Schema } from "effect"
import { ComposeId, Digest, Millis } from "./ids.ts"
import { Failure } from "./job.ts"
import { BuildEnded, BuildReason, PipelineDefinition, PipelineMeans, QuotaRefusal } from "./pipeline-events.ts"

const optional = Schema.optionalKey
const at = { at: Millis }

/** How a check has ended; `packages` where it has said any. */
export const CheckResult = Schema.TaggedUnion({ Resolved: { packages: Digest }, Failed: { failure: Failure }, Canceled: {} })
export type CheckResult = typeof CheckResult.Type

export const PipelineCommand = Schema.TaggedUnion({
  /** `version`: of what it takes the place of, 0 of nothing; refused if that is not so. Without it whatever there is is replaced. */
  DeclarePipeline: { ...at, definition: PipelineDefinition, means: PipelineMeans, version: optional(Schema.Int) },
  AskBuild: { ...at },
  /** These two come to nothing unless they are due. */
  RequestCheck: { ...at, composeId: ComposeId },
  RequestBuild: { ...at, composeId: ComposeId, number: Schema.Int, why: BuildReason },
  DelayBuild: { ...at, why: BuildReason, refusal: QuotaRefusal },
  EndCheck: { ...at, composeId: ComposeId, result: CheckResult },
  EndBuild: { ...at, number: Schema.Int, outcome: BuildEnded.fields.outcome, packages: optional(Digest), failure: optional(Failure) },
  PromoteBuild: { ...at, number: Schema.Int },
  PausePipeline: { ...at },
  ResumePipeline: { ...at },
  DeletePipeline: { ...at }
})
export type PipelineCommand = typeof PipelineCommand.Type
export const {
  DeclarePipeline, AskBuild, RequestCheck, RequestBuild, DelayBuild, EndCheck, EndBuild, PromoteBuild, PausePipeline, ResumePipeline, DeletePipeline
} = PipelineCommand.cases
