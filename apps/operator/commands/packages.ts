import { Effect, Option } from "effect"
import type { PackageView } from "../../gateway/api/catalog-api.ts"
import { Kiln } from "../client.ts"
import { answer } from "../output.ts"
import { table } from "../table.ts"

export interface PackagesInput {
  readonly search: string
  readonly distribution: string
  readonly architecture: string
  readonly limit: Option.Option<number>
}

export const packages = Effect.fn("packages")(function*({ architecture, distribution, limit, search }: PackagesInput) {
  const query = { search, distribution, architecture, limit: Option.getOrUndefined(limit) }
  const found = yield* (yield* Kiln).json<ReadonlyArray<PackageView>>("/packages", { query })
  yield* answer(found, (output) =>
    found.length === 0 ? [`No package of ${distribution} matches ${search}`] : table(output, [
      { title: "PACKAGE", of: ({ name }) => name },
      { title: "VERSION", of: ({ version }) => version },
      { title: "SECTION", of: ({ section }) => section },
      { title: "SUMMARY", of: ({ summary }) => summary, shrinks: true }
    ], found))
})
