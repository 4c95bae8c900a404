/** How what is to be declared differs from what is, place by place. */
import { type Difference, differencesOf } from "./differences.ts"
import { rulesOf } from "./pipeline-document.ts"
import type { PipelineDefinition } from "./pipeline-events.ts"

export type PipelineDifference = Difference

export const pipelineDifferences = (from: PipelineDefinition | undefined, to: PipelineDefinition | undefined): ReadonlyArray<PipelineDifference> =>
  differencesOf(shown(from), shown(to))

const shown = (definition: PipelineDefinition | undefined) => definition && { compose: definition.request, ...rulesOf(definition) }
