import { Effect } from "effect"
import type { VulnerabilitiesView } from "../../gateway/api/evidence-api.ts"
import { Kiln } from "../client.ts"
import { moment } from "../moments.ts"
import { answer, type OutputShape, painted, type Paint } from "../output.ts"
import { facts, table } from "../table.ts"

export interface VulnerabilitiesInput {
  readonly id: string
  readonly image: number
}

export const vulnerabilities = Effect.fn("vulnerabilities")(function*({ id, image }: VulnerabilitiesInput) {
  const found = yield* (yield* Kiln).json<VulnerabilitiesView>(`/composes/${id}/images/${image}/vulnerabilities`)
  yield* answer(found, (output) => people(output, found))
})

const colours: Record<string, Paint> = { high: "red", medium: "yellow", unimportant: "dim" }

const people = (output: OutputShape, { counts, data_from, distribution, vulnerabilities }: VulnerabilitiesView): ReadonlyArray<string> => [
  ...facts(output, [
    ["Distribution", distribution],
    ["Data from", moment(data_from, output.utc)],
    ["Known flaws", vulnerabilities.length === 0 ? "none" : Object.entries(counts).map(([urgency, count]) => `${count} ${urgency}`).join(", ")]
  ]),
  ...vulnerabilities.length === 0 ? [] : ["", ...table(output, [
    { title: "FLAW", of: ({ id }) => id },
    { title: "URGENCY", of: ({ urgency }) => urgency, paint: (text, { urgency }) => painted(output, colours[urgency], text) },
    { title: "SOURCE", of: ({ source }) => source.name },
    { title: "INSTALLED", of: ({ source }) => source.version },
    { title: "MENDED IN", of: ({ fixed_version, status }) => fixed_version ?? (status === "undetermined" ? "not known" : "") },
    { title: "WHAT", of: ({ description = "" }) => description, shrinks: true }
  ], vulnerabilities)]
]
