/**
 * The words that a row is found by. Each begins with its tenant, so that an index over all tenants leads to one tenant's
 * rows at once, and says what it is: `w` a word, `l` a label, and so on.
 */

export type TermKind = "word" | "label" | "distribution" | "type" | "architecture" | "target" | "digest" | "blueprint"

const marks: Record<TermKind, string> = { word: "w", label: "l", distribution: "o", type: "i", architecture: "a", target: "t", digest: "d", blueprint: "b" }

export const termOf = (tenantId: string, kind: TermKind, text: string): string => `${tenantId}/${marks[kind]}:${text.slice(0, longest)}`

/** Texts of any length come in; an index takes no word of more than 2 kB. */
const longest = 300
const mostWords = 200

/** An id is one word; else letters and digits are, in lower case. */
const pattern = /[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}|[\p{L}\p{N}]+/gu

export const wordsOf = (text: string): ReadonlyArray<string> =>
  [...new Set(text.toLowerCase().match(pattern) ?? [])].slice(0, mostWords)

export const wordTerms = (tenantId: string, ...texts: ReadonlyArray<string>): ReadonlyArray<string> =>
  texts.flatMap((text) => wordsOf(text).map((word) => termOf(tenantId, "word", word)))

/** `name` finds whoever has that label, `name=value` whoever has it with that value. */
export const labelTerm = (tenantId: string, label: string): string => termOf(tenantId, "label", label)

export const labelTerms = (tenantId: string, labels: Readonly<Record<string, string>>): ReadonlyArray<string> =>
  Object.entries(labels).flatMap(([name, value]) => [labelTerm(tenantId, name), labelTerm(tenantId, `${name}=${value}`)])

/** What a row must have to be found: each of the terms, and for each of the beginnings a term that begins so. */
export interface Wanted {
  readonly terms: ReadonlyArray<string>
  readonly beginnings: ReadonlyArray<string>
}

export const hasWanted = (terms: ReadonlyArray<string>, { beginnings, terms: wanted }: Wanted): boolean =>
  wanted.every((term) => terms.includes(term)) && beginnings.every((beginning) => terms.some((term) => term.startsWith(beginning)))
