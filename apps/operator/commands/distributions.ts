import { Effect } from "effect"
import type { DistributionView } from "../../gateway/api/catalog-api.ts"
import { Kiln } from "../client.ts"
import { answer } from "../output.ts"
import { table } from "../table.ts"

export const distributions = Effect.fn("distributions")(function*() {
  const known = yield* (yield* Kiln).json<ReadonlyArray<DistributionView>>("/distributions")
  const rows = known.flatMap((distribution) =>
    distribution.architectures.flatMap(({ architecture, image_types }) =>
      image_types.map((image) => ({ distribution, architecture, image }))
    )
  )
  yield* answer(known, (output) =>
    rows.length === 0 ? ["No distributions: no worker offers any"] : table(output, [
      { title: "DISTRIBUTION", of: ({ distribution }) => distribution.id },
      { title: "NAME", of: ({ distribution }) => distribution.name },
      { title: "ARCH", of: ({ architecture }) => architecture },
      { title: "IMAGE TYPE", of: ({ image }) => image.type },
      { title: "OPTIONS", of: ({ image }) => image.options.join(" ") },
      { title: "DESCRIPTION", of: ({ image }) => image.description, shrinks: true }
    ], rows))
})
