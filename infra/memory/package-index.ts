import { Effect, Layer } from "effect"
import { PackageIndex, type PackageSummary } from "../../domain/ports/package-index.ts"

/** Every distribution offers just these. */
export const PackageIndexInMemory = (packages: ReadonlyArray<PackageSummary>): Layer.Layer<PackageIndex> =>
  Layer.succeed(PackageIndex, PackageIndex.of({
    search: (_distribution, _architecture, search, limit) => {
      const rank = (name: string) => name === search ? 0 : name.startsWith(search) ? 1 : 2
      return Effect.succeed(packages.filter(({ name }) => name.includes(search))
        .toSorted((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1)).slice(0, limit))
    }
  }))
