/** One row a blueprint: its name, and what its latest version is about. */
import { Schema } from "effect"
import type { Projection } from "./projection.ts"
import type { Listing } from "./rows.ts"
import { wordTerms } from "./terms.ts"

/** Times are milliseconds since 1970; `changedAt` is none once it is deleted, so that no list has it any more. */
export const BlueprintRow = Schema.Struct({
  tenantId: Schema.String,
  blueprintId: Schema.String,
  name: Schema.String,
  description: Schema.NullOr(Schema.String),
  version: Schema.Int,
  distribution: Schema.String,
  images: Schema.Int,
  createdAt: Schema.Int,
  createdBy: Schema.String,
  changedAt: Schema.NullOr(Schema.Int),
  changedBy: Schema.String,
  /** Words of name, description and distribution. */
  terms: Schema.Array(Schema.String)
})
export type BlueprintRow = typeof BlueprintRow.Type

export const blueprints: Projection<BlueprintRow, "blueprint"> = {
  name: "blueprints",
  version: 1,
  aggregates: ["blueprint"],
  row: BlueprintRow,
  columns: {
    tenantId: { type: "text" },
    blueprintId: { type: "text" },
    name: { type: "text" },
    description: { type: "text", nullable: true },
    version: { type: "integer" },
    distribution: { type: "text" },
    images: { type: "integer" },
    createdAt: { type: "millis" },
    createdBy: { type: "text" },
    changedAt: { type: "millis", nullable: true },
    changedBy: { type: "text" },
    terms: { type: "terms" }
  },
  key: ["blueprintId"],
  indexes: [[], ["name"], ["distribution"]].map((fields) => [...fields, "-changedAt", "-blueprintId"]),
  about: ({ event }) => ({ blueprintId: event.blueprintId }),
  evolve: (row, { event, recorded: { actor, at, tenantId } }) => {
    const changed = { changedAt: at, changedBy: actor.id }
    if (event._tag === "BlueprintCreated") {
      const { blueprintId, description = null, name, request } = event
      return found({
        tenantId, blueprintId, name, description, version: 1, distribution: request.distribution, images: request.images.length,
        createdAt: at, createdBy: actor.id, ...changed, terms: []
      })
    }
    if (row === undefined) return undefined
    switch (event._tag) {
      case "BlueprintChanged":
        return found({ ...row, ...changed, version: event.version, distribution: event.request.distribution, images: event.request.images.length })
      case "BlueprintDescribed":
        return found({ ...row, ...changed, name: event.name, description: event.description ?? null })
      case "BlueprintDeleted":
        return { ...row, ...changed, changedAt: null, terms: [] }
    }
  }
}

const found = (row: BlueprintRow): BlueprintRow =>
  ({ ...row, terms: [...new Set(wordTerms(row.tenantId, row.name, row.description ?? "", row.distribution))] })

export const blueprintList: Listing<BlueprintRow, "blueprint"> = { projection: blueprints, order: ["changedAt", "blueprintId"] }
