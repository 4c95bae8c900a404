/** One row a version of a blueprint: who made it, when, and what it is about; what it asks for stays in the log. */
import { Schema } from "effect"
import type { Projection } from "./projection.ts"
import type { Listing } from "./rows.ts"

export const BlueprintVersionRow = Schema.Struct({
  tenantId: Schema.String,
  blueprintId: Schema.String,
  version: Schema.Int,
  at: Schema.Int,
  by: Schema.String,
  distribution: Schema.String,
  images: Schema.Int
})
export type BlueprintVersionRow = typeof BlueprintVersionRow.Type

export const blueprintVersions: Projection<BlueprintVersionRow, "blueprint"> = {
  name: "blueprint_versions",
  version: 1,
  aggregates: ["blueprint"],
  row: BlueprintVersionRow,
  columns: {
    tenantId: { type: "text" },
    blueprintId: { type: "text" },
    version: { type: "integer" },
    at: { type: "millis" },
    by: { type: "text" },
    distribution: { type: "text" },
    images: { type: "integer" }
  },
  key: ["blueprintId", "version"],
  indexes: [["blueprintId", "-at", "-version"]],
  about: ({ event }) => {
    if (event._tag === "BlueprintCreated") return { blueprintId: event.blueprintId, version: 1 }
    return event._tag === "BlueprintChanged" ? { blueprintId: event.blueprintId, version: event.version } : undefined
  },
  evolve: (row, { event, recorded: { actor, at, tenantId } }) => {
    if (event._tag !== "BlueprintCreated" && event._tag !== "BlueprintChanged") return row
    const version = event._tag === "BlueprintCreated" ? 1 : event.version
    return { tenantId, blueprintId: event.blueprintId, version, at, by: actor.id, distribution: event.request.distribution, images: event.request.images.length }
  }
}

export const blueprintVersionList: Listing<BlueprintVersionRow, "blueprint"> = { projection: blueprintVersions, order: ["at", "version"] }
