/** Pages of any list: a cursor is the values that the last row is sorted by, which no client looks into. */
import { Effect, Exit, Schema } from "effect"
import { HttpApiSchema } from "effect/http-api"
import { fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"
import { nextLink } from "./list-composes.ts"

export type CursorValues = ReadonlyArray<string | number>

const Cursor = Schema.fromJsonString(Schema.Array(Schema.Union([Schema.String, Schema.Int])))
const decode = Schema.decodeUnknownExit(Cursor)
const defaultLimit = 20

interface Asked {
  readonly limit?: number
  readonly cursor?: string
}

/** `load` is asked for one row more than the page has: that tells whether there is another page. `kinds`: what a cursor consists of. */
export const pageOf = Effect.fnUntraced(function*<Row, Item, R>(
  { cursor, limit = defaultLimit }: Asked,
  kinds: ReadonlyArray<"string" | "number">,
  load: (limit: number, before: CursorValues | undefined) => Effect.Effect<ReadonlyArray<Row>, { readonly message: string }, R>,
  { item, valuesOf }: { readonly item: (row: Row) => Item; readonly valuesOf: (row: Row) => CursorValues }
) {
  const before = cursor === undefined ? undefined : yield* valuesIn(cursor, kinds)
  const rows = yield* orUnavailable(load(limit + 1, before))
  const last = rows.length > limit ? rows[limit - 1] : undefined
  const next = last === undefined ? {} : { next: Buffer.from(JSON.stringify(valuesOf(last))).toString("base64url") }
  return { items: rows.slice(0, limit).map(item), ...next }
})

/** The same with the next page's address as a header, for clients that follow links. */
export const linked = <Page extends { readonly next?: string }>(body: Page, url: string) =>
  HttpApiSchema.withHeaders({ body, headers: body.next === undefined ? {} : { link: nextLink(url, body.next) } })

const valuesIn = (cursor: string, kinds: ReadonlyArray<"string" | "number">) => {
  const decoded = decode(Buffer.from(cursor, "base64url").toString("utf8"))
  return Exit.isSuccess(decoded) && decoded.value.length === kinds.length && decoded.value.every((value, at) => fits(value, kinds[at]!))
    ? Effect.succeed(decoded.value)
    : Effect.fail(fault("query", "cursor", "not a cursor of an earlier page"))
}

/** Postgres takes no NUL and no number beyond its own. */
const fits = (value: string | number, kind: "string" | "number") =>
  typeof value === kind && (typeof value === "number" ? Math.abs(value) <= 2 ** 31 * 2 ** 21 : !value.includes("\u0000") && value.isWellFormed())
