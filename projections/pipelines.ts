/** One row a pipeline: what was declared and how it stands. What it does next follows from that. */
import { Schema } from "effect"
import { fold } from "../domain/decider.ts"
import { type Pipeline, PipelineDecider } from "../domain/pipeline.ts"
import type { Projection } from "./projection.ts"
import type { Listing } from "./rows.ts"

/** `state` is the pipeline as it was folded; without what is absent, as JSON has it. */
export const PipelineRow = Schema.Struct({
  tenantId: Schema.String,
  name: Schema.String,
  declared: Schema.Boolean,
  declaredAt: Schema.Int,
  distribution: Schema.String,
  state: Schema.Unknown
})
export type PipelineRow = Omit<typeof PipelineRow.Type, "state"> & { readonly state: Pipeline }

export const pipelines: Projection<PipelineRow, "pipeline"> = {
  name: "pipelines",
  version: 1,
  aggregates: ["pipeline"],
  row: PipelineRow,
  columns: {
    tenantId: { type: "text" },
    name: { type: "text" },
    declared: { type: "boolean" },
    declaredAt: { type: "millis" },
    distribution: { type: "text" },
    state: { type: "json" }
  },
  key: ["name"],
  indexes: [[], ["distribution"]].map((fields) => ["declared", ...fields, "-declaredAt", "-name"]),
  about: ({ recorded: { id } }) => ({ name: id }),
  evolve: (row, { event, recorded: { id, tenantId } }) => {
    const state = fold(PipelineDecider, [event], row?.state)
    const { declaredAt, definition, status } = state
    return { tenantId, name: id, declared: status === "declared", declaredAt, distribution: definition?.request.distribution ?? "", state }
  }
}

export const pipelineList: Listing<PipelineRow, "pipeline"> = { projection: pipelines, order: ["declaredAt", "name"] }
