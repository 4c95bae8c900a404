/** Conversions in the worker's cache, by what was converted and what to. */
import { createHash } from "node:crypto"
import { createReadStream } from "node:fs"
import { link, readFile, stat, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Effect, Layer } from "effect"
import type { Artifact } from "../../domain/artifact.ts"
import { ConvertedImages, type ImageFile } from "../../domain/ports/converted-images.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { cacheAt, type Shelf } from "../cache/cache.ts"
import { noSpace } from "../process/no-space.ts"
import { convert, type DiskFormat, diskFormats } from "./convert.ts"

/** One that is made of the same disk in another way has another name. */
const version = "1"

export interface ConversionOptions {
  readonly dir: string
  /** Of the whole cache. */
  readonly bytes?: number | undefined
}

export const ConvertedImagesCache = ({ bytes, dir }: ConversionOptions) => Layer.sync(ConvertedImages, () => {
  const cache = cacheAt(dir, bytes)
  return ConvertedImages.of({
    take: Effect.fn("convertedImage")(function*(artifact, path, format, report) {
      const shelf = yield* Effect.mapError(cache.shelf, failed)
      if (format === undefined || format === artifact.format) {
        return { path: yield* lent(shelf, path), size: artifact.size, sha256: artifact.digest.slice("sha256:".length) }
      }
      const name = `${artifact.digest.slice("sha256:".length)}.${version}.${format}`
      return yield* made(shelf, name, artifact, path, format, report)
    })
  })
})

/** A second name, so that whoever removes the first does not take it away. On another file system there is only the first. */
const lent = (shelf: Shelf, path: string) => {
  const own = join(shelf.dir, basename(path))
  return Effect.promise(() => link(path, own).then(() => own, () => path))
}

const made = Effect.fnUntraced(function*(shelf: Shelf, name: string, artifact: Artifact, path: string, format: string, report: Report): Effect.fn.Return<ImageFile, BuildFailed> {
  if (!isDisk(format) || !isDisk(artifact.format)) {
    return yield* new BuildFailed({ class: "user", message: `an image of format ${artifact.format} cannot be made into ${format}` })
  }
  const known = yield* Effect.mapError(found(shelf, name), failed)
  if (known !== undefined) return known
  report.line(`converting from ${artifact.format} to ${format}`)
  report.progress({ stage: "convert", percent: 0 })
  const to = join(shelf.dir, name)
  yield* convert({ path, format: artifact.format }, { path: to, format }, (percent) => report.progress({ stage: "convert", percent }))
  const sha256 = yield* Effect.tryPromise({ try: () => sumOf(to), catch: failed })
  const sum = `${to}.sha256`
  yield* Effect.tryPromise({ try: () => writeFile(sum, sha256), catch: failed })
  yield* Effect.mapError(Effect.andThen(shelf.put("conversions", name, to), shelf.put("conversions", `${name}.sha256`, sum)), failed)
  return { path: to, size: yield* sizeOf(to), sha256 }
})

const found = Effect.fnUntraced(function*(shelf: Shelf, name: string) {
  const path = yield* shelf.take("conversions", name)
  const sum = path === undefined ? undefined : yield* shelf.take("conversions", `${name}.sha256`)
  if (path === undefined || sum === undefined) {
    // A file without its sum is made once more, and must not find the way taken.
    yield* shelf.drop("conversions", name)
    return undefined
  }
  return { path, size: yield* sizeOf(path), sha256: yield* Effect.promise(() => readFile(sum, "utf8")) }
})

const isDisk = (format: string): format is DiskFormat => Object.hasOwn(diskFormats, format)

const sizeOf = (path: string) => Effect.promise(async () => (await stat(path)).size)

const sumOf = async (path: string): Promise<string> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  return hash.digest("hex")
}

const failed = (error: unknown) => {
  const { code, message } = error as NodeJS.ErrnoException
  return new BuildFailed({ class: "platform", message: code === "ENOSPC" || code === "EDQUOT" ? noSpace : `the converted image cannot be kept: ${message}` })
}
