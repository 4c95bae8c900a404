/** The handlers of what can be asked for. */
import { Effect } from "effect"
import { HttpApiBuilder } from "effect/http-api"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"
import { PackageIndex } from "../../domain/ports/package-index.ts"
import type { DistributionView } from "./api/catalog-api.ts"
import { KilnApi } from "./api/kiln-api.ts"
import { NotFound } from "./api/problems.ts"
import { Catalog } from "./catalog.ts"
import { fault } from "./faults.ts"
import { orUnavailable } from "./find-compose.ts"

const defaultLimit = 20

export const OffersLive = HttpApiBuilder.group(KilnApi, "catalog", Effect.fnUntraced(function*(handlers) {
  const { distributions } = yield* Catalog
  const index = yield* PackageIndex
  const views = distributions.map(viewOf)
  return handlers.handleAll({
    distributions: () => Effect.succeed(views),
    distribution: Effect.fnUntraced(function*({ params: { id } }) {
      return views.find((view) => view.id === id) ?? (yield* new NotFound({ detail: `there is no distribution ${id}` }))
    }),
    packages: Effect.fnUntraced(function*({ query: { distribution, architecture, search, limit = defaultLimit } }) {
      const offer = distributions.find(({ id }) => id === distribution)
      if (offer === undefined) {
        const ids = distributions.map(({ id }) => id)
        return yield* fault("query", "distribution", `no such distribution; there is ${ids.join(", ")}`)
      }
      const architectures = offer.architectures.map((each) => each.architecture)
      if (!architectures.includes(architecture)) {
        return yield* fault("query", "architecture", `no such architecture; there is ${architectures.join(", ")}`)
      }
      // What needs no lock has no packages either.
      if (!offer.resolves) return []
      return yield* orUnavailable(index.search(distribution, architecture, search, limit))
    })
  })
}))

const viewOf = ({ id, name, architectures, customizations }: DistributionInfo): DistributionView => ({
  id,
  name,
  ...(customizations && { customizations }),
  architectures: architectures.map(({ architecture, imageTypes }) => ({ architecture, image_types: imageTypes }))
})
