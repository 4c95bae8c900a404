/** What lists are asked by, the same for all of them. */
import { Schema } from "effect"

const optional = Schema.optionalKey

/** RFC 3339 with a zone, such as `2026-01-31T12:00:00Z` or `2026-01-31T12:00:00.5+02:00`. */
export const Moment = Schema.String.check(Schema.makeFilter(
  (text) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)$/.test(text) && Date.parse(text) >= 0,
  { expected: "a time as RFC 3339 with a zone, such as 2026-01-31T12:00:00Z" }
))

export const PageQuery = {
  limit: optional(Schema.Int.check(Schema.isBetween({ minimum: 1, maximum: 100 }))),
  /** `next` of the page before. */
  cursor: optional(Schema.String.check(Schema.isMaxLength(200)))
}

export const WithinQuery = { since: optional(Moment), until: optional(Moment) }

/** What it was like then; without it, what it is now. */
export const AsOfQuery = Schema.Struct({ as_of: optional(Moment) })
