import { Context, type Effect } from "effect"
import type { Architecture } from "../ids.ts"
import type { ImageSpec, Lock } from "../manifest.ts"
import type { BuildFailed } from "./image-builder.ts"

export interface PackageSummary {
  readonly name: string
  readonly version: string
  readonly summary: string
  readonly section: string
}

/** The packages that a distribution's repositories offer. */
export class PackageIndex extends Context.Service<PackageIndex, {
  /** Names that contain `search`, best first: equal, prefix, the rest; at most `limit`. */
  search(distribution: string, architecture: Architecture, search: string, limit: number):
    Effect.Effect<ReadonlyArray<PackageSummary>, BuildFailed>
  /** The packages that an image would be built from, were it asked for now. */
  resolve(spec: ImageSpec): Effect.Effect<Lock, BuildFailed>
}>()("domain/ports/PackageIndex") {}
