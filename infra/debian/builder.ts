/** The default builder: Debian and its kin by mmdebstrap and file-system tools, without loop devices. */
import { readdir, rm, stat } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { BuildFailed, type ImageBuilder } from "../../domain/ports/image-builder.ts"
import { aptIndexes } from "./apt-index.ts"
import { build } from "./build.ts"
import type { DebianConfig } from "./config.ts"
import { builderName } from "./distributions.ts"
import { resolve } from "./resolve.ts"

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
  let swept = false
  const sweepOnce = Effect.suspend(() => {
    if (swept) return Effect.void
    swept = true
    return sweep(config.cacheDir)
  })
  return {
    name: builderName,
    resolve: (spec, _, report) => Effect.andThen(plain(config.cacheDir), resolved(spec, report)),
    build: (manifest, secrets, workspace, report) =>
      plain(config.cacheDir, workspace).pipe(
        Effect.andThen(sweepOnce),
        Effect.andThen(built(manifest, secrets, workspace, report))
      )
  }
}

const hour = 3_600_000

/** Leftovers of the killed, and what nobody has used for a month. Using a thing in the cache renews its time. */
export const sweep = (cacheDir: string): Effect.Effect<void> =>
  Effect.promise(async () => {
    for (const part of ["packages", "locks", "base"]) {
      const dir = join(cacheDir, part)
      for (const name of await readdir(dir).catch(() => [])) {
        const path = join(dir, name)
        const age = Date.now() - ((await stat(path).catch(() => undefined))?.mtimeMs ?? Date.now())
        if (age > (name.endsWith(".part") ? 2 * hour : 30 * 24 * hour))
          await rm(path, { recursive: true, force: true }).catch(() => {})
      }
    }
  })
