/** The default builder: Debian and its kin by mmdebstrap and file-system tools, without loop devices. */
import { rm } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { BuildFailed, type ImageBuilder } from "../../domain/ports/image-builder.ts"
import { cacheAt } from "../cache/cache.ts"
import { aptIndexes } from "./apt-index.ts"
import { build } from "./build.ts"
import type { DebianConfig } from "./config.ts"
import { builderName, debianDistributions } from "./distributions.ts"
import { resolve } from "./resolve.ts"
import { builderDigest } from "./scripts.ts"
import { probe } from "./tools.ts"

const plainPath = /^\/[A-Za-z0-9._+/-]+$/

/** apt's configuration and source lists have no sound way to quote a path. */
const plain = (...paths: ReadonlyArray<string>): Effect.Effect<void, BuildFailed> => {
  const odd = paths.find((path) => !plainPath.test(path))
  return odd === undefined
    ? Effect.void
    : Effect.fail(
        new BuildFailed({
          class: "platform",
          message: `the path ${JSON.stringify(odd)} must be absolute, of letters, digits and . _ + - only`
        })
      )
}

export const debianBuilder = (config: DebianConfig): ImageBuilder => {
  const resolved = resolve(aptIndexes(config))
  const built = build(config)
  let isTidy = false
  const tidyOnce = Effect.suspend(() => {
    if (isTidy) return Effect.void
    isTidy = true
    // Where earlier versions kept their repositories, whose links would keep packages from being removed.
    const outdated = Effect.promise(() => rm(join(config.cacheDir, "locks"), { recursive: true, force: true }).catch(() => {}))
    return Effect.andThen(outdated, cacheAt(config.cacheDir, config.cacheBytes).tidy)
  })
  return {
    name: builderName,
    revision: builderDigest(),
    answersTests: true,
    offers: debianDistributions,
    obstacles: Effect.map(probe, ({ ready, summary }) => new Map(ready ? [] : debianDistributions.map(({ id }) => [id, summary]))),
    resolve: (spec, _, report) => Effect.andThen(plain(config.cacheDir), resolved(spec, report)),
    build: (manifest, secrets, workspace, report, stored) =>
      plain(config.cacheDir, workspace).pipe(
        Effect.andThen(tidyOnce),
        Effect.andThen(built(manifest, secrets, workspace, report, stored))
      )
  }
}
