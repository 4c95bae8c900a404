import { Effect, Option } from "effect"
import type { ComposeSummary } from "../../gateway/api/compose-views.ts"
import { idOf } from "../blueprint-named.ts"
import { moment } from "../moments.ts"
import { readTime } from "../read-time.ts"
import { answer, type OutputShape, paintedStatus } from "../output.ts"
import { pagesOf, withMore } from "../pages-of.ts"
import { table } from "../table.ts"
import { between } from "../units.ts"

export interface ListInput {
  readonly status: Option.Option<string>
  readonly distribution: Option.Option<string>
  readonly type: Option.Option<string>
  readonly architecture: Option.Option<string>
  readonly target: Option.Option<string>
  readonly blueprint: Option.Option<string>
  readonly requester: Option.Option<string>
  readonly label: ReadonlyArray<string>
  readonly since: Option.Option<string>
  readonly until: Option.Option<string>
  readonly search: Option.Option<string>
  readonly limit: Option.Option<number>
  readonly all: boolean
}

export const list = Effect.fn("list")(function*(input: ListInput) {
  const query = {
    status: Option.getOrUndefined(input.status),
    distribution: Option.getOrUndefined(input.distribution),
    image_type: Option.getOrUndefined(input.type),
    architecture: Option.getOrUndefined(input.architecture),
    target: Option.getOrUndefined(input.target),
    blueprint: Option.isNone(input.blueprint) ? undefined : yield* idOf(input.blueprint.value),
    requester: Option.getOrUndefined(input.requester),
    label: input.label,
    search: Option.getOrUndefined(input.search),
    since: yield* readTime("--since", input.since),
    until: yield* readTime("--until", input.until)
  }
  const { items, next } = yield* pagesOf<ComposeSummary>("/composes", query, input)
  yield* answer({ items, ...(next === undefined ? {} : { next }) }, (output) => people(output, items, next !== undefined))
})

const people = (output: OutputShape, items: ReadonlyArray<ComposeSummary>, more: boolean) => {
  if (items.length === 0) return ["No composes"]
  return withMore(output, more, table<ComposeSummary>(output, [
    { title: "ID", of: ({ id }) => id },
    { title: "STATUS", of: ({ status }) => status, paint: (text, { status }) => text.trim() === status ? paintedStatus(output, text) : text },
    { title: "DISTRIBUTION", of: ({ distribution }) => distribution },
    { title: "IMAGES", of: ({ images }) => String(images), right: true },
    { title: "REQUESTED", of: ({ requested_at }) => moment(requested_at, output.utc) },
    { title: "TOOK", of: ({ ended_at, requested_at }) => between(requested_at, ended_at), right: true },
    { title: "NAME", of: ({ name }) => name ?? "", shrinks: true }
  ], items))
}
