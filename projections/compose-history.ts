/** One row a compose: what lists show and filter by. */
import { Schema } from "effect"
import { FromBlueprint } from "../domain/blueprint.ts"
import type { SealedComposeRequest } from "../domain/compose-request.ts"
import { isRemoval } from "../domain/copy-removal.ts"
import { Failure, targetsOf } from "../domain/job.ts"
import type { Happened, Projection } from "./projection.ts"
import { labelTerms, termOf, wordTerms } from "./terms.ts"

export const ComposeStatus = Schema.Literals(["pending", "running", "succeeded", "failed", "canceled"])
export type ComposeStatus = typeof ComposeStatus.Type

export const ImageSummary = Schema.Struct({
  architecture: Schema.String,
  type: Schema.String,
  status: ComposeStatus
})

/** Times are milliseconds since 1970; `request` is the stored request, its secrets sealed. */
export const ComposeRow = Schema.Struct({
  tenantId: Schema.String,
  composeId: Schema.String,
  status: ComposeStatus,
  distribution: Schema.String,
  name: Schema.NullOr(Schema.String),
  labels: Schema.Record(Schema.String, Schema.String),
  request: Schema.Unknown,
  images: Schema.Int,
  blueprint: Schema.NullOr(FromBlueprint),
  requestedBy: Schema.String,
  requestedAt: Schema.Int,
  startedAt: Schema.NullOr(Schema.Int),
  endedAt: Schema.NullOr(Schema.Int),
  failure: Schema.NullOr(Failure),
  revision: Schema.Int,
  /** What `GET /composes` finds it by. */
  terms: Schema.Array(Schema.String)
})
export type ComposeRow = typeof ComposeRow.Type

export const composeHistory: Projection<ComposeRow, "compose"> = {
  name: "composes",
  version: 3,
  aggregates: ["compose"],
  row: ComposeRow,
  columns: {
    tenantId: { type: "text" },
    composeId: { type: "text" },
    status: { type: "text" },
    distribution: { type: "text" },
    name: { type: "text", nullable: true },
    labels: { type: "json" },
    request: { type: "json" },
    images: { type: "integer" },
    blueprint: { type: "json", nullable: true },
    requestedBy: { type: "text" },
    requestedAt: { type: "millis" },
    startedAt: { type: "millis", nullable: true },
    endedAt: { type: "millis", nullable: true },
    failure: { type: "json", nullable: true },
    revision: { type: "integer" },
    terms: { type: "terms" }
  },
  key: ["composeId"],
  indexes: [[], ["status"], ["distribution"], ["requestedBy"]].map((fields) => [...fields, "-requestedAt", "-composeId"]),
  about: ({ event }) => ({ composeId: event.composeId }),
  evolve: (row, { event, recorded }) => {
    if (event._tag === "ComposeRequested") return requested(event, recorded)
    if (row === undefined) return undefined
    const seen = { ...row, revision: recorded.revision }
    if ("jobId" in event && isRemoval(event.jobId)) return seen
    switch (event._tag) {
      case "JobStarted":
        return row.status === "pending" ? { ...seen, status: "running", startedAt: recorded.at } : seen
      case "JobFailed":
        return event.final && row.failure === null ? withFailure(seen, event.failure) : seen
      case "JobLost":
        return event.final && row.failure === null ? withFailure(seen, lost(event.reason)) : seen
      case "ComposeReopened":
        return { ...seen, status: "running", endedAt: null, failure: null }
      case "ComposeCanceled":
        return { ...seen, status: "canceled", endedAt: recorded.at }
      case "ComposeFinished":
        return { ...seen, status: event.outcome, endedAt: recorded.at }
      default:
        return seen
    }
  }
}

/** How a job counts that no worker brought to an end. */
export const lost = (reason: string): Failure => ({ class: "platform", message: reason })

const requested = (
  event: Extract<Happened<"compose">["event"], { _tag: "ComposeRequested" }>,
  recorded: Happened<"compose">["recorded"]
): ComposeRow => {
  const { blueprint = null, composeId, request } = event
  return {
    tenantId: recorded.tenantId,
    composeId,
    status: "pending",
    distribution: request.distribution,
    name: request.name ?? null,
    labels: request.labels ?? {},
    request,
    images: request.images.length,
    blueprint,
    requestedBy: recorded.actor.id,
    requestedAt: recorded.at,
    startedAt: null,
    endedAt: null,
    failure: null,
    revision: recorded.revision,
    terms: [...termsOf(recorded.tenantId, composeId, request), ...blueprintTerms(recorded.tenantId, blueprint)]
  }
}

const blueprintTerms = (tenantId: string, blueprint: FromBlueprint | null): ReadonlyArray<string> =>
  blueprint === null ? [] : [termOf(tenantId, "blueprint", blueprint.id), termOf(tenantId, "blueprint", `${blueprint.id}/${blueprint.version}`)]

const termsOf = (tenantId: string, composeId: string, { distribution, images, labels = {}, name = "" }: SealedComposeRequest) => {
  const texts = [composeId, name, distribution, ...Object.entries(labels).flat()]
  return [...new Set([
    ...wordTerms(tenantId, ...texts),
    ...labelTerms(tenantId, labels),
    ...images.flatMap((image) => [
      termOf(tenantId, "type", image.type),
      termOf(tenantId, "architecture", image.architecture),
      ...targetsOf(image).map(({ type }) => termOf(tenantId, "target", type))
    ])
  ])]
}

const withFailure = (row: ComposeRow, failure: Failure): ComposeRow =>
  ({ ...row, failure, terms: [...new Set([...row.terms, ...wordTerms(row.tenantId, failure.class, failure.message)])] })
