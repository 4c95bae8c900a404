/** A worker's own images on its disk: bytes by content, and a note a manifest that says which bytes it became. */
import { createHash, randomUUID } from "node:crypto"
import { existsSync, readFileSync, renameSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs"
import { copyFile, mkdir, readdir, readFile, rename, rm } from "node:fs/promises"
import { basename, join } from "node:path"
import { Effect, Exit, Layer, Schema } from "effect"
import { Artifact } from "../../domain/artifact.ts"
import { Digest } from "../../domain/ids.ts"
import { HeldImages, HeldImagesUnavailable } from "../../domain/ports/held-images.ts"
import type { BuiltFile } from "../../domain/ports/image-builder.ts"
import { locked } from "../cache/lock.ts"
import { sha256Of } from "./sha256-of.ts"

const decode = Schema.decodeUnknownExit(Schema.fromJsonString(Artifact))
const isDigest = Schema.is(Digest)

/**
 * Temporary names stay in the folders they are for, so that a rename is all it takes; what a crash leaves has no readable
 * name. What takes the kernel some microseconds is done at once, since a thread would take longer to be asked. Nothing is
 * synced: what a power failure damages is found by its digest at the next start, and built again.
 */
export const HeldImagesFiles = (dir: string) =>
  Layer.effect(HeldImages, Effect.gen(function*() {
    const unavailable = (error: unknown) => new HeldImagesUnavailable({ message: `images cannot be kept: ${(error as Error).message}` })
    const attempt = <A>(run: () => Promise<A>) => Effect.tryPromise({ try: run, catch: unavailable })
    const manifests = join(dir, "manifests")
    const images = join(dir, "images")
    yield* attempt(async () => {
      await mkdir(manifests, { recursive: true })
      await mkdir(images, { recursive: true })
    })
    const pathOf = (folder: string, digest: Digest) => join(folder, basename(digest.replace(":", "-")))
    const sound = new SoundImages((digest) => pathOf(images, digest))

    return HeldImages.of({
      find: (manifest) =>
        attempt(async () => {
          const artifact = decode(await readFile(pathOf(manifests, manifest), "utf8").catch(() => ""))
          return Exit.isSuccess(artifact) && await sound.use(artifact.value.digest) ? artifact.value : undefined
        }),
      turn: (manifest, onWait) => Effect.mapError(locked(`${pathOf(manifests, manifest)}.lock`, onWait), unavailable),
      keep: (manifest, file) =>
        attempt(async () => {
          const artifact = await artifactOf(file)
          // To put a file in the place of another makes many file systems wait for the disk; the same bytes need not.
          if (await sound.has(artifact.digest)) rmSync(file.path)
          else await moveIn(file.path, pathOf(images, artifact.digest))
          sound.add(artifact.digest)
          keepNote(pathOf(manifests, manifest), JSON.stringify(artifact))
          return artifact
        }),
      annotate: (manifest, text) => attempt(async () => keepNote(`${pathOf(manifests, manifest)}.said`, text)),
      annotation: (manifest) => attempt(() => readFile(`${pathOf(manifests, manifest)}.said`, "utf8").catch(() => undefined)),
      path: (digest) => attempt(async () => await sound.use(digest) ? pathOf(images, digest) : undefined),
      // Notes may stay: one whose image is gone leads to nothing.
      drop: (digest) =>
        attempt(async () => {
          // In one go, so that nobody puts the same bytes in between. Whoever reads them now looks for them once more when they are read.
          rmSync(pathOf(images, digest), { force: true })
          sound.forget(digest)
        }),
      check: attempt(async () => {
        for (const name of await readdir(images)) {
          const digest = name.replace("-", ":")
          if (isDigest(digest)) await sound.has(digest)
          // Half a copy of a run that was killed.
          else await rm(join(images, name), { force: true })
        }
      }),
      held: Effect.sync(() => sound.all)
    })
  }))

/** Each image's bytes are read once a run, when it is first asked for; what is not what its name says is removed. */
class SoundImages {
  readonly #checked = new Map<Digest, Promise<boolean>>()
  readonly #sound = new Set<Digest>()
  readonly #pathOf: (digest: Digest) => string

  constructor(pathOf: (digest: Digest) => string) {
    this.#pathOf = pathOf
  }

  /** The cache may have removed what nobody had used for long. */
  get all(): ReadonlyArray<Digest> {
    return [...this.#sound].filter((digest) => existsSync(this.#pathOf(digest)))
  }

  add(digest: Digest): void {
    this.#sound.add(digest)
    this.#checked.set(digest, Promise.resolve(true))
  }

  async has(digest: Digest): Promise<boolean> {
    const known = this.#checked.get(digest)
    if (known === undefined) this.#checked.set(digest, this.#check(digest))
    const isSound = await (known ?? this.#checked.get(digest)!)
    if (isSound && existsSync(this.#pathOf(digest))) return true
    this.forget(digest)
    return false
  }

  /** Whether it is there; then it is as new to the cache, which removes first what was used longest ago. */
  async use(digest: Digest): Promise<boolean> {
    if (!await this.has(digest)) return false
    const now = new Date()
    try {
      utimesSync(this.#pathOf(digest), now, now)
    } catch {
      // Whoever removed it in between is found out when it is read.
    }
    return true
  }

  forget(digest: Digest): void {
    this.#checked.delete(digest)
    this.#sound.delete(digest)
  }

  async #check(digest: Digest): Promise<boolean> {
    const found = await digestOf(this.#pathOf(digest)).catch(() => undefined)
    if (found === digest) this.#sound.add(digest)
    else if (found !== undefined) await rm(this.#pathOf(digest), { force: true })
    return found === digest
  }
}

/** Bytes that are read in one go. */
const small = 1 << 20

const artifactOf = async ({ path, filename, format, mediaType }: BuiltFile): Promise<Artifact> => {
  const { size } = statSync(path)
  return { digest: await digestOf(path, size), size, format, filename, mediaType }
}

const digestOf = async (path: string, size = Infinity): Promise<Digest> => {
  if (size <= small) return Digest.make(`sha256:${createHash("sha256").update(readFileSync(path)).digest("hex")}`)
  return Digest.make(`sha256:${await sha256Of(path)}`)
}

const keepNote = (place: string, text: string) => {
  if (existsSync(place) && readFileSync(place, "utf8") === text) return
  const note = `${place}.${randomUUID()}.new`
  writeFileSync(note, text)
  renameSync(note, place)
}

/** The workspace may lie on another file system, such as a tmpfs. */
const moveIn = async (from: string, to: string) => {
  try {
    renameSync(from, to)
    return
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EXDEV") throw error
  }
  const arriving = `${to}.${randomUUID()}.new`
  await copyFile(from, arriving)
  await rename(arriving, to)
  await rm(from)
}
