/** One row an image that was asked for: what it is once it is built, who holds it, and where its copies are. */
import { Schema } from "effect"
import { Architecture } from "../domain/ids.ts"
import { imageOf } from "../domain/job.ts"
import type { Happened, Projection } from "./projection.ts"
import type { Listing } from "./rows.ts"
import { termOf } from "./terms.ts"

/** Times are milliseconds since 1970. `removedAt`: nothing of it is left since then. */
export const CopyRow = Schema.Struct({
  target: Schema.Int,
  type: Schema.String,
  /** Nothing of Kiln's own store, where a copy goes by the image's digest. */
  id: Schema.NullOr(Schema.String),
  place: Schema.NullOr(Schema.String),
  url: Schema.NullOr(Schema.String),
  digest: Schema.NullOr(Schema.String),
  format: Schema.String,
  deliveredAt: Schema.Int,
  removedAt: Schema.NullOr(Schema.Int)
})
export type CopyRow = typeof CopyRow.Type

export const ImageRow = Schema.Struct({
  tenantId: Schema.String,
  composeId: Schema.String,
  image: Schema.Int,
  distribution: Schema.String,
  architecture: Architecture,
  type: Schema.String,
  builtAt: Schema.NullOr(Schema.Int),
  digest: Schema.NullOr(Schema.String),
  size: Schema.NullOr(Schema.Int),
  format: Schema.NullOr(Schema.String),
  filename: Schema.NullOr(Schema.String),
  /** The worker that built it; it may have let go of it since. */
  heldBy: Schema.NullOr(Schema.String),
  copies: Schema.Array(CopyRow),
  terms: Schema.Array(Schema.String)
})
export type ImageRow = typeof ImageRow.Type

export const images: Projection<ImageRow, "compose"> = {
  name: "images",
  version: 1,
  aggregates: ["compose"],
  row: ImageRow,
  columns: {
    tenantId: { type: "text" },
    composeId: { type: "text" },
    image: { type: "integer" },
    distribution: { type: "text" },
    architecture: { type: "text" },
    type: { type: "text" },
    builtAt: { type: "millis", nullable: true },
    digest: { type: "text", nullable: true },
    size: { type: "bigint", nullable: true },
    format: { type: "text", nullable: true },
    filename: { type: "text", nullable: true },
    heldBy: { type: "text", nullable: true },
    copies: { type: "json" },
    terms: { type: "terms" }
  },
  key: ["composeId", "image"],
  indexes: [["-builtAt", "-composeId", "-image"]],
  about: ({ event }) => {
    const image = placeOf(event)
    return image === undefined ? undefined : { composeId: event.composeId, image }
  },
  evolve: (row, { event, recorded: { at, tenantId } }) => {
    if (event._tag === "JobQueued") return row ?? queued(event, tenantId)
    if (row === undefined) return undefined
    if (event._tag === "CopyRemoved") {
      return { ...row, copies: row.copies.map((copy) => copy.target === event.target && copy.removedAt === null ? { ...copy, removedAt: at } : copy) }
    }
    if (event._tag !== "JobSucceeded") return row
    const { outcome } = event
    if (outcome._tag === "Built") {
      const { artifact: { digest, filename, format, size }, heldBy } = outcome
      return { ...row, builtAt: at, digest, size, format, filename, heldBy, terms: withTerm(row, termOf(tenantId, "digest", digest)) }
    }
    if (outcome._tag !== "Uploaded") return row
    const { artifact, copy, target } = outcome
    const delivered: CopyRow = {
      target: Number(event.jobId.split("-")[2]), type: target.type, id: copy?.id ?? null, place: copy?.place ?? null, url: copy?.url ?? null,
      digest: copy === undefined ? artifact.digest : copy.digest ?? null, format: copy?.format ?? artifact.format,
      deliveredAt: at, removedAt: null
    }
    return {
      ...row, terms: withTerm(row, termOf(tenantId, "target", target.type)),
      copies: [...row.copies.filter((other) => other.target !== delivered.target || other.removedAt !== null), delivered]
    }
  }
}

export const imageList: Listing<ImageRow, "compose"> = { projection: images, order: ["builtAt", "composeId", "image"] }

const placeOf = (event: Happened<"compose">["event"]): number | undefined => {
  switch (event._tag) {
    case "JobQueued":
      return event.kind === "build" ? event.image : undefined
    case "JobSucceeded":
      return event.outcome._tag === "Built" || event.outcome._tag === "Uploaded" ? Number(imageOf(event.jobId)) : undefined
    case "CopyRemoved":
      return event.image
    default:
      return undefined
  }
}

const queued = (event: Extract<Happened<"compose">["event"], { _tag: "JobQueued" }>, tenantId: string): ImageRow => {
  const { composeId, distribution, image, request: { architecture, type } } = event
  return {
    tenantId, composeId, image, distribution, architecture, type, builtAt: null, digest: null, size: null, format: null, filename: null,
    heldBy: null, copies: [], terms: [termOf(tenantId, "distribution", distribution), termOf(tenantId, "type", type), termOf(tenantId, "architecture", architecture)]
  }
}

const withTerm = ({ terms }: ImageRow, term: string) => [...new Set([...terms, term])]
