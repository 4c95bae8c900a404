import { Clock, Effect, Option } from "effect"
import type { ComposePage, ComposeSummary } from "../../gateway/api/compose-views.ts"
import { Kiln } from "../client.ts"
import { commandFailed } from "../command-failed.ts"
import { moment, readMoment } from "../moments.ts"
import { answer, type OutputShape, painted, paintedStatus } from "../output.ts"
import { table } from "../table.ts"
import { between } from "../units.ts"

export interface ListInput {
  readonly status: Option.Option<string>
  readonly distribution: Option.Option<string>
  readonly since: Option.Option<string>
  readonly until: Option.Option<string>
  readonly search: Option.Option<string>
  readonly limit: Option.Option<number>
  readonly all: boolean
}

const page = 20
const largestPage = 100

export const list = Effect.fn("list")(function*(input: ListInput) {
  const kiln = yield* Kiln
  const query = {
    status: Option.getOrUndefined(input.status),
    distribution: Option.getOrUndefined(input.distribution),
    search: Option.getOrUndefined(input.search),
    since: yield* time("--since", input.since),
    until: yield* time("--until", input.until)
  }
  const most = Option.getOrElse(input.limit, () => (input.all ? Infinity : page))
  const items: Array<ComposeSummary> = []
  let next: string | undefined
  do {
    const limit = Math.min(most - items.length, largestPage)
    const got = yield* kiln.json<ComposePage>("/composes", { query: { ...query, limit, cursor: next } })
    items.push(...got.items)
    next = got.next
  } while (next !== undefined && items.length < most)
  yield* answer({ items, ...(next === undefined ? {} : { next }) }, (output) => people(output, items, next !== undefined))
})

const time = Effect.fnUntraced(function*(flag: string, text: Option.Option<string>) {
  if (Option.isNone(text)) return undefined
  const read = readMoment(text.value, yield* Clock.currentTimeMillis)
  if (read !== undefined) return read
  return yield* commandFailed("invalid", `${flag} ${text.value} is no time: say 2026-01-31, 2026-01-31T12:00:00Z, or 2h for two hours ago`)
})

const people = (output: OutputShape, items: ReadonlyArray<ComposeSummary>, more: boolean) => {
  if (items.length === 0) return ["No composes"]
  const rows = table<ComposeSummary>(output, [
    { title: "ID", of: ({ id }) => id },
    { title: "STATUS", of: ({ status }) => status, paint: (text, { status }) => text.trim() === status ? paintedStatus(output, text) : text },
    { title: "DISTRIBUTION", of: ({ distribution }) => distribution },
    { title: "IMAGES", of: ({ images }) => String(images), right: true },
    { title: "REQUESTED", of: ({ requested_at }) => moment(requested_at, output.utc) },
    { title: "TOOK", of: ({ ended_at, requested_at }) => between(requested_at, ended_at), right: true },
    { title: "NAME", of: ({ name }) => name ?? "", shrinks: true }
  ], items)
  return more ? [...rows, painted(output, "dim", "There are more: --limit N or --all")] : rows
}
