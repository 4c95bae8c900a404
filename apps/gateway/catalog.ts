import { Context } from "effect"
import type { DistributionInfo } from "../../domain/ports/image-builder.ts"

/** All that can be built here, by whichever builder. */
export class Catalog extends Context.Service<Catalog, {
  readonly distributions: ReadonlyArray<DistributionInfo>
}>()("gateway/Catalog") {}
