/** How two images differ, by file. Pure. */
import { Schema } from "effect"
import type { Contents, ImageEntry } from "./ports/image-contents.ts"

export const Difference = Schema.Struct({
  /** A path within a part of the image, or what the fact is about. */
  where: Schema.String,
  what: Schema.Literals(["only in the first", "only in the second", "different"]),
  /** By field, what it is in the first and in the second. */
  fields: Schema.optionalKey(Schema.Record(Schema.String, Schema.Tuple([Schema.String, Schema.String])))
})
export type Difference = typeof Difference.Type

const text = (value: unknown) => (value === undefined || value === null ? "" : String(value))

const fieldsOf = (one: Record<string, unknown>, other: Record<string, unknown>) =>
  Object.fromEntries(
    [...new Set([...Object.keys(one), ...Object.keys(other)])]
      .filter((key) => text(one[key]) !== text(other[key]))
      .map((key) => [key, [text(one[key]), text(other[key])] as const])
  )

const compared = <A extends object>(first: ReadonlyMap<string, A>, second: ReadonlyMap<string, A>): ReadonlyArray<Difference> =>
  [...new Set([...first.keys(), ...second.keys()])].toSorted().flatMap((where): ReadonlyArray<Difference> => {
    const [one, other] = [first.get(where), second.get(where)]
    if (other === undefined) return [{ where, what: "only in the first" }]
    if (one === undefined) return [{ where, what: "only in the second" }]
    const fields = fieldsOf(one as Record<string, unknown>, other as Record<string, unknown>)
    return Object.keys(fields).length === 0 ? [] : [{ where, what: "different", fields }]
  })

const entriesOf = ({ entries }: Contents) => new Map(entries.map((entry): [string, ImageEntry] => [`${entry.part}:${entry.path}`, entry]))
const factsOf = ({ facts }: Contents) => new Map(facts.map(({ about, fact }) => [about, { fact }]))

/** Nothing: they hold the same, though their bytes may differ in how it is laid out. */
export const differencesOf = (first: Contents, second: Contents): ReadonlyArray<Difference> =>
  [...compared(factsOf(first), factsOf(second)), ...compared(entriesOf(first), entriesOf(second))]
