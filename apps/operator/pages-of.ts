/** Lists that come in pages, read as far as somebody wants to see them. */
import { Effect, Option } from "effect"
import { Kiln, type Query } from "./client.ts"
import { type OutputShape, painted } from "./output.ts"

export interface HowMany {
  readonly limit: Option.Option<number>
  readonly all: boolean
}

interface Page<Item> {
  readonly items: ReadonlyArray<Item>
  readonly next?: string
}

const usual = 20
const largestPage = 100

/** `about`: what an answer says beside its items. */
export const pagesOf = Effect.fnUntraced(function*<Item, Answer extends Page<Item> = Page<Item>>(path: string, query: Query, { all, limit: given }: HowMany) {
  const kiln = yield* Kiln
  const most = Option.getOrElse(given, () => (all ? Infinity : usual))
  const items: Array<Item> = []
  let next: string | undefined
  let about: Omit<Answer, keyof Page<Item>> = {} as Answer
  do {
    const limit = Math.min(most - items.length, largestPage)
    const { items: some, next: following, ...rest }: Answer = yield* kiln.json<Answer>(path, { query: { ...query, limit, cursor: next } })
    items.push(...some)
    next = following
    about = rest
  } while (next !== undefined && items.length < most)
  return { items, next, about }
})

export const withMore = (output: OutputShape, more: boolean, rows: ReadonlyArray<string>) =>
  more ? [...rows, painted(output, "dim", "There are more: --limit N or --all")] : rows
