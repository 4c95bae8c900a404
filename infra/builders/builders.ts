/** All builders of this installation, in one place: what a gateway offers and what a worker makes come from here. */
import { Config, Effect, Option } from "effect"
import type { DistributionInfo, ImageBuilder } from "../../domain/ports/image-builder.ts"
import { commandBuilder } from "../command-builder/builder.ts"
import { debianBuilder } from "../debian/builder.ts"
import { debianConfigOf } from "../debian/config.ts"
import { diskimageBuilder } from "../diskimage-builder/builder.ts"
import { mkosiBuilder } from "../mkosi/builder.ts"
import { osbuildBuilder } from "../osbuild/builder.ts"
import { groupObstacle } from "../sandbox/cgroup.ts"
import { type Limits, limitsOf } from "../sandbox/limits.ts"
import { simulatedBuilder } from "../simulated/simulated-builder.ts"
import { type AddedDistribution, BuildersFileWrong, readBuildersFile } from "./builders-file.ts"

const settings = Config.all({
  file: Config.option(Config.String("KILN_BUILDERS_FILE")),
  cache: Config.String("KILN_CACHE"),
  testDistribution: Config.Boolean("KILN_TEST_DISTRIBUTION").pipe(Config.withDefault(false))
})

export const buildersFromEnvironment = Effect.gen(function*() {
  const { cache, file, testDistribution } = yield* settings
  const path = Option.getOrElse(file, () => "")
  const { distributions } = path === "" ? { distributions: [] } : yield* readBuildersFile(path)
  const limits = limitsOf(process.env)
  const own = [inGroups(debianBuilder(debianConfigOf(cache, process.env)), limits), ...testDistribution ? [simulatedBuilder] : []]
  const added = addedBuilders(distributions, cache, limits).map((builder) => inGroups(builder, limits))
  const ids = new Set(own.flatMap(({ offers }) => offers.map(({ id }) => id)))
  const taken = distributions.findIndex(({ distribution }) => ids.has(distribution))
  if (taken >= 0) {
    return yield* new BuildersFileWrong({
      message: `KILN_BUILDERS_FILE=${path}: distributions.${taken}.distribution: ${distributions[taken]!.distribution} is Kiln's own`
    })
  }
  return [...own, ...added]
})

/** A worker whose builds are to have groups, and cannot, says so when it begins and is asked for none. */
export const inGroups = (builder: ImageBuilder, limits: Limits): ImageBuilder => ({
  ...builder,
  obstacles: Effect.suspend(() => {
    const obstacle = groupObstacle(limits)
    if (obstacle === undefined) return builder.obstacles
    return Effect.succeed(new Map(builder.offers.map(({ id }) => [id, `no control group for builds (KILN_CGROUP): ${obstacle}`])))
  })
})

/** One builder of each kind that has any distribution. */
const addedBuilders = (distributions: ReadonlyArray<AddedDistribution>, cache: string, limits: Limits): ReadonlyArray<ImageBuilder> => {
  const of = <Name extends AddedDistribution["builder"]>(name: Name) =>
    distributions.filter((each): each is Extract<AddedDistribution, { readonly builder: Name }> => each.builder === name)
  return [
    commandBuilder(of("command"), limits), diskimageBuilder(of("diskimage-builder"), cache, limits),
    osbuildBuilder(of("osbuild"), cache, limits), mkosiBuilder(of("mkosi"), cache, limits)
  ].filter(({ offers }) => offers.length > 0)
}

export const offersOf = (builders: ReadonlyArray<ImageBuilder>): ReadonlyArray<DistributionInfo> => builders.flatMap(({ offers }) => offers)
