/** Pages of the read model. */
import { Effect, Exit, Schema } from "effect"
import { ComposeId, type TenantId } from "../../domain/ids.ts"
import { ComposeQueries, type ListedCompose, type PageRequest } from "../../projections/compose-queries.ts"
import type { ComposePage } from "./api/compose-views.ts"
import type { ListQuery } from "./api/composes-api.ts"
import { summaryOf } from "./compose-details.ts"
import { fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"

const defaultLimit = 20

export const listComposes = Effect.fnUntraced(function*(tenantId: TenantId, query: ListQuery) {
  const { limit = defaultLimit, cursor, blueprint_version, image_type, label, requester, since, until, ...rest } = query
  const before = cursor === undefined ? undefined : yield* positionOf(cursor)
  const filter = {
    ...rest,
    ...(requester !== undefined && { requestedBy: requester }),
    ...(image_type !== undefined && { imageType: image_type }),
    ...(blueprint_version !== undefined && { blueprintVersion: blueprint_version }),
    ...(label !== undefined && { labels: label }),
    ...(since !== undefined && { since: Date.parse(since) }),
    ...(until !== undefined && { until: Date.parse(until) })
  }
  const queries = yield* ComposeQueries
  // One more than asked for tells whether there is another page.
  const rows = yield* orUnavailable(queries.list(tenantId, filter, { limit: limit + 1, ...(before && { before }) }))
  const page = rows.slice(0, limit)
  const last = rows.length > limit ? page.at(-1) : undefined
  return { items: page.map(summaryOf), ...(last && { next: cursorOf(last) }) } satisfies ComposePage
})

/** The next page's address, for clients that follow links. */
export const nextLink = (url: string, next: string): string => {
  const { pathname, searchParams } = new URL(url, "http://localhost")
  searchParams.set("cursor", next)
  return `<${pathname}?${searchParams}>; rel="next"`
}

const Requested = Schema.Int.check(Schema.isBetween({ minimum: 0, maximum: 8.64e15 }))
const Cursor = Schema.fromJsonString(Schema.Tuple([Requested, ComposeId]))
const decodeCursor = Schema.decodeUnknownExit(Cursor)

const cursorOf = ({ requestedAt, composeId }: ListedCompose): string =>
  Buffer.from(JSON.stringify([requestedAt, composeId])).toString("base64url")

const positionOf = (cursor: string): Effect.Effect<NonNullable<PageRequest["before"]>, ReturnType<typeof fault>> => {
  const decoded = decodeCursor(Buffer.from(cursor, "base64url").toString("utf8"))
  if (Exit.isFailure(decoded)) return Effect.fail(fault("query", "cursor", "not a cursor of an earlier page"))
  const [requestedAt, composeId] = decoded.value
  return Effect.succeed({ requestedAt, composeId })
}
