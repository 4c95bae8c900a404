import { Effect, Layer } from "effect"
import { packageNameOf } from "../../domain/customizations.ts"
import { BuildFailed } from "../../domain/ports/image-builder.ts"
import { PackageIndex, type PackageSummary } from "../../domain/ports/package-index.ts"

/** Every distribution offers just these. */
export const PackageIndexInMemory = (packages: ReadonlyArray<PackageSummary>): Layer.Layer<PackageIndex> =>
  Layer.succeed(PackageIndex, PackageIndex.of({
    search: (_distribution, _architecture, search, limit) => {
      const rank = (name: string) => name === search ? 0 : name.startsWith(search) ? 1 : 2
      return Effect.succeed(packages.filter(({ name }) => name.includes(search))
        .toSorted((a, b) => rank(a.name) - rank(b.name) || (a.name < b.name ? -1 : 1)).slice(0, limit))
    },
    // Without what packages need themselves.
    resolve: ({ customizations, distribution, image: { architecture } }) => {
      const wanted = [...new Set((customizations.packages ?? []).map(packageNameOf))].toSorted()
      const unknown = wanted.find((name) => packages.every((each) => each.name !== name))
      if (unknown !== undefined) {
        return Effect.fail(new BuildFailed({ class: "user", message: `packages: unable to locate "${unknown}"`, excerpt: `E: Unable to locate package ${unknown}` }))
      }
      return Effect.succeed({
        distribution, architecture, sources: [],
        packages: packages.filter(({ name }) => wanted.includes(name)).toSorted((a, b) => (a.name < b.name ? -1 : 1)).map(({ name, version }) => ({
          name, version, architecture: "all", size: 1000, sha256: "0".repeat(64), url: `memory:${name}`
        }))
      })
    }
  }))
