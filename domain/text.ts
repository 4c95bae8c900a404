/** Rules of text that a tenant writes, for schemas. */
import { Schema } from "effect"

/** With the `u` flag a pattern reaches the OpenAPI document; `expected` is what people read when it does not match. */
export const matching = (pattern: RegExp, expected: string) => Schema.String.check(Schema.isPattern(pattern, { expected }))

/** Text that every store takes: no NUL, no half of a surrogate pair. */
export const storable = (max: number) =>
  matching(/^[^\u0000\ud800-\udfff]*$/u, "text without NUL and half surrogate pairs").check(Schema.isMaxLength(max))

export const line = (max: number) =>
  matching(/^[^\u0000-\u001f\u007f\ud800-\udfff]+$/u, "one line of text without control characters").check(Schema.isMaxLength(max))

export const list = <S extends Schema.Top>(item: S, max: number) => Schema.Array(item).check(Schema.isMaxLength(max))
