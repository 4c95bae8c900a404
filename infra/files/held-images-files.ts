/** A worker's own images on its disk: bytes by content, and a note a manifest that says which bytes it became. */
import { createHash, randomUUID } from "node:crypto"
import { createReadStream } from "node:fs"
import { copyFile, mkdir, open, readFile, rename, rm, stat, writeFile } from "node:fs/promises"
import { basename, join } from "node:path"
import { pipeline } from "node:stream/promises"
import { Effect, Exit, Layer, Schema } from "effect"
import { Artifact } from "../../domain/artifact.ts"
import { Digest } from "../../domain/ids.ts"
import { HeldImages, HeldImagesUnavailable } from "../../domain/ports/held-images.ts"
import type { BuiltFile } from "../../domain/ports/image-builder.ts"

const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Artifact))

/** Temporary names stay in the folders they are for, so that a rename is all it takes; what a crash leaves has no readable name. */
export const HeldImagesFiles = (dir: string) =>
  Layer.effect(HeldImages, Effect.gen(function*() {
    const attempt = <A>(run: () => Promise<A>) =>
      Effect.tryPromise({ try: run, catch: (error) => new HeldImagesUnavailable({ message: `images cannot be kept: ${(error as Error).message}` }) })
    const manifests = join(dir, "manifests")
    const images = join(dir, "images")
    yield* attempt(async () => {
      await mkdir(manifests, { recursive: true })
      await mkdir(images, { recursive: true })
    })
    const pathOf = (folder: string, digest: Digest) => join(folder, basename(digest.replace(":", "-")))

    return HeldImages.of({
      find: (manifest) => attempt(() => find(pathOf(manifests, manifest), (digest) => pathOf(images, digest))),
      keep: (manifest, file) =>
        attempt(async () => {
          const artifact = await artifactOf(file)
          await syncFile(file.path)
          await rename(file.path, pathOf(images, artifact.digest)).catch(async (error: NodeJS.ErrnoException) => {
            if (error.code !== "EXDEV") throw error
            await copyIn(file.path, pathOf(images, artifact.digest))
          })
          const note = `${pathOf(manifests, manifest)}.${randomUUID()}.new`
          await writeFile(note, JSON.stringify(artifact), { flush: true })
          await rename(note, pathOf(manifests, manifest))
          return artifact
        }),
      path: (digest) => attempt(() => stat(pathOf(images, digest)).then(() => pathOf(images, digest), () => undefined))
    })
  }))

const find = async (note: string, imageOf: (digest: Digest) => string): Promise<Artifact | undefined> => {
  const artifact = decode(await readFile(note, "utf8").catch(() => ""))
  if (Exit.isFailure(artifact)) return undefined
  const { size } = await stat(imageOf(artifact.value.digest)).catch(() => ({ size: -1 }))
  return size === artifact.value.size ? artifact.value : undefined
}

const artifactOf = async ({ path, filename, format, mediaType }: BuiltFile): Promise<Artifact> => {
  const hash = createHash("sha256")
  await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash)
  const { size } = await stat(path)
  return { digest: Digest.make(`sha256:${hash.digest("hex")}`), size, format, filename, mediaType }
}

const syncFile = async (path: string) => {
  const file = await open(path, "r")
  await file.sync().finally(() => file.close())
}

/** The workspace may lie on another file system, such as a tmpfs. */
const copyIn = async (from: string, to: string) => {
  const arriving = `${to}.${randomUUID()}.new`
  await copyFile(from, arriving)
  await syncFile(arriving)
  await rename(arriving, to)
  await rm(from)
}
