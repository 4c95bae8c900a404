/** What a foreign program says it has made, taken only if it is a file of its own workspace. */
import { lstat, realpath } from "node:fs/promises"
import { isAbsolute, join, normalize } from "node:path"
import { Effect, Schema } from "effect"
import { BuildFailed, type BuiltFile } from "../../domain/ports/image-builder.ts"
import { matching } from "../../domain/text.ts"

export const Made = Schema.Struct({
  /** Below the workspace. */
  path: Schema.NonEmptyString,
  format: matching(/^[a-z0-9][a-z0-9.+-]{0,31}$/u, "a format, such as qcow2"),
  filename: matching(/^[A-Za-z0-9][A-Za-z0-9._+-]{0,127}$/u, "a plain file name"),
  media_type: matching(/^[a-z0-9][a-z0-9.+-]{0,63}\/[a-z0-9][a-z0-9.+-]{0,63}$/u, "a media type")
})
export type Made = typeof Made.Type

/** To be asked when the program and all it began have ended: nobody can put another file in its place then. */
export const artifactIn = (workspace: string, { path, format, filename, media_type }: Made, what = "artifact"): Effect.Effect<BuiltFile, BuildFailed> =>
  Effect.gen(function*() {
    const refused = (why: string) => new BuildFailed({ class: "platform", message: `the ${what} ${JSON.stringify(path)} ${why}` })
    if (isAbsolute(path) || normalize(path).split("/").includes("..")) return yield* refused("lies outside of the workspace")
    const place = join(yield* Effect.promise(() => realpath(workspace)), normalize(path))
    const [real, stat] = yield* Effect.tryPromise({
      try: () => Promise.all([realpath(place), lstat(place)]), catch: () => refused("is not there")
    })
    if (real !== place) return yield* refused("is reached through a symbolic link")
    if (!stat.isFile()) return yield* refused("is no file")
    // Another name of it may be written to later.
    if (stat.nlink > 1) return yield* refused("has other names")
    return { path: place, format, filename, mediaType: media_type }
  })
