/** From a manifest to a disk: packages, base tree, customizations, disk, qcow2. */
import { constants, existsSync, statSync } from "node:fs"
import { copyFile, mkdir, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Deferred, Effect, Fiber } from "effect"
import type { Lock, Manifest } from "../../domain/manifest.ts"
import { BuildFailed, type BuiltFile, type FilesByDigest, type Report, type Secrets } from "../../domain/ports/image-builder.ts"
import { baseTree, type Scratch } from "./base-tree.ts"
import { closedRepository, type ClosedRepository } from "./closed-repository.ts"
import { imageSources, type DebianConfig } from "./config.ts"
import { customizationFiles, missingSecrets, passwordHash, secretNameOf, type StoredTexts } from "./customization-files.ts"
import { storedTexts } from "./stored-texts.ts"
import { diskIdsOf } from "./disk-ids.ts"
import { debianArchitectures, type Release } from "./distributions.ts"
import { diskFailure, failureOf, onDiskAfterMemory } from "./failures.ts"
import { isMachine, kernelArgumentsOf, typeFiles } from "./image-input.ts"
import { imagePackagesOf } from "./image-packages.ts"
import { asksCloud, fileOf, type ImageType } from "./image-types/image-type.ts"
import { writeInventory } from "./inventory.ts"
import { memoryScratch } from "./namespaces.ts"
import { stageOf } from "./progress.ts"
import { convertScript } from "../formats/convert.ts"
import { convertProgress } from "../formats/progress.ts"
import type { Origins } from "./packages.ts"
import { repositoryUri } from "./repositories.ts"
import { imageTypeFor, releaseOf } from "./resolve.ts"
import { hiding } from "../process/hiding.ts"
import { run, type Ran } from "../process/run.ts"
import { cacheAt } from "../cache/cache.ts"
import { isRoot, mappedPrefix, type Prefix } from "../sandbox/ids.ts"
import { limitsOf, type Limits } from "../sandbox/limits.ts"
import { confinedOrFail, sandboxDir } from "../sandbox/sandbox.ts"
import { guestDir, scriptPath } from "./scripts.ts"
import { snapshotsOf } from "./snapshots.ts"

/** Where each stage begins, in percent of a build from nothing. */
const begins = { download: 0, base: 12, "base-system": 70, packages: 72, customize: 78, disk: 81, convert: 87 }

export const build = (config: DebianConfig) => {
  const cache = cacheAt(config.cacheDir, config.cacheBytes)
  const limits = config.limits ?? limitsOf({})
  return Effect.fn("debian.build")(function*(manifest: Manifest, secrets: Secrets, workspace: string, report: Report, files?: FilesByDigest) {
    const type = yield* imageTypeFor(manifest.image)
    const architecture = debianArchitectures[manifest.image.architecture]
    const { release, extras } = imagePackagesOf(yield* releaseOf(manifest.distribution), architecture, type, manifest)
    const { lock } = manifest
    if (lock === undefined)
      return yield* new BuildFailed({ class: "user", message: "lock: this builder needs the packages resolved first" })
    const hashes = yield* passwordHashes(manifest, secrets)
    const stored = yield* storedTexts(manifest, files)
    const hide = hiding([...secrets.values(), ...hashes.values()])
    const quiet: Report = { progress: (progress) => report.progress(progress), line: (line) => report.line(hide(line)) }

    const shelf = yield* Effect.mapError(cache.shelf, diskFailure("using the cache"))
    const repository = yield* closedRepository(
      release,
      architecture,
      lock.packages,
      extras,
      shelf,
      limits,
      quiet,
      begins.base,
      { guarded: guardOf(manifest, config), elsewhere: snapshotsOf(config.snapshots, release, lock) }
    )
    const scratch = (name: string) => scratchOf(join(workspace, name), lock, manifest, stored, config)
    const base = yield* baseTree(release, repository, cache, shelf, scratch("scratch-base"), limits, quiet, [
      begins.base,
      begins["base-system"]
    ]).pipe(Effect.ensuring(clear(join(workspace, "scratch-base"))))
    const input = join(workspace, "input")
    yield* writeInput(input, manifest, type, lock, release, repository, extras, hashes, stored, config)
    const { extension, mediaType } = fileOf(type)
    const image = join(workspace, `image.${extension}`)
    // Made while the image is: what is installed is known long before.
    const looked = Deferred.makeUnsafe<void>()
    const writing = yield* Deferred.await(looked).pipe(
      Effect.andThen(writeInventory(join(workspace, "facts"), join(workspace, "inventory.json"), repository.facts.epoch)),
      Effect.forkChild
    )
    yield* makeImage(manifest, type, release, repository, base, input, image, scratch("scratch-image"), limits, quiet, () => Deferred.doneUnsafe(looked, Effect.void)).pipe(
      Effect.ensuring(Effect.andThen(clear(join(workspace, "scratch-image")), clear(input))),
      Effect.onError(() => Effect.andThen(Fiber.interrupt(writing), Effect.andThen(clear(join(workspace, "facts")), clear(join(workspace, "inventory.json")))))
    )
    const inventory = yield* Fiber.join(writing)
    const name = manifest.customizations.hostname ?? manifest.distribution
    return {
      path: image,
      format: type.format,
      filename: `${name}.${extension}`,
      mediaType,
      inventory
    } satisfies BuiltFile
  }, Effect.scoped)
}

const guardOf = ({ customizations: { repositories = [] } }: Manifest, { privateRepositories = false }: DebianConfig): Origins["guarded"] => {
  const uris = repositories.map((repository) => `${repositoryUri(repository)}/`)
  return (url) => !privateRepositories && uris.some((uri) => url.startsWith(uri))
}

const passwordHashes = (
  { customizations }: Manifest,
  secrets: Secrets
): Effect.Effect<ReadonlyMap<string, string>, BuildFailed> => {
  const missing = missingSecrets(customizations, secrets)
  if (missing.length > 0)
    return Effect.fail(new BuildFailed({ class: "platform", message: `no secret came for ${missing.join(", ")}` }))
  return Effect.sync(
    () =>
      new Map(
        (customizations.users ?? []).flatMap(({ name, password }) =>
          password === undefined
            ? []
            : [[name, passwordHash(name, secrets.get(secretNameOf(name))!, password.fingerprint)] as const]
        )
      )
  )
}

/** A tree is about four times its archives; beside it stands the disk, and for the base the archives themselves. */
const scratchOf = (
  dir: string,
  lock: Lock,
  { customizations }: Manifest,
  stored: StoredTexts,
  config: DebianConfig
): Effect.Effect<Scratch> => {
  const packages = lock.packages.reduce((sum, { size }) => sum + size, 0)
  const files = (customizations.files ?? []).reduce((sum, { data, digest }) =>
    sum + 2 * (digest === undefined ? (data ?? "").length : statSync(stored.get(digest)!.at).size), 0)
  return Effect.gen(function*() {
    const memory = yield* memoryScratch(10 * packages + 2 * files + 256 * 2 ** 20, config.scratch ?? "auto")
    yield* Effect.promise(() => mkdir(dir, { recursive: true }))
    return { dir, memory }
  })
}

/** Without privileges, what lies there may belong to ids that only a namespace of ours may touch. */
const clear = (dir: string): Effect.Effect<void> =>
  existsSync(dir) && !isRoot()
    ? Effect.ignore(
        run({
          argv: [...mappedPrefix(), "rm", "-rf", "--one-file-system", "--", dir] as unknown as Prefix
        })
      )
    : Effect.promise(() => rm(dir, { recursive: true, force: true }).catch(() => {}))

const writeInput = (
  input: string,
  manifest: Manifest,
  type: ImageType,
  lock: Lock,
  release: Release,
  { facts }: ClosedRepository,
  extras: ReadonlyArray<string>,
  hashes: ReadonlyMap<string, string>,
  stored: StoredTexts,
  config: DebianConfig
) => {
  const base = new Set(facts.base)
  const onTop = lock.packages.filter(({ sha256 }) => !base.has(sha256)).map(({ name }) => name)
  const wanted = new Set([...release.base, ...extras])
  const lines = (names: ReadonlyArray<string>) => names.map((name) => `${name}\n`).join("")
  const files = [
    { path: "extras", text: lines(onTop) },
    { path: "auto", text: lines(onTop.filter((name) => !wanted.has(name))) },
    { path: "sources.extras", text: `deb [trusted=yes] copy:///run/kiln/repository ${release.suite} main\n` },
    { path: "sources.list", text: imageSources(release, lock.sources, config.imageMirrors) },
    ...typeFiles(type, manifest, diskIdsOf(manifest)),
    ...customizationFiles(manifest.customizations, hashes, stored, asksCloud(type)).map(({ path, text }) => ({
      path: join("custom", path),
      text
    }))
  ]
  return Effect.tryPromise({
    try: async () => {
      // Password hashes are in there. The scripts in the tree run as root and may read it all the same.
      await mkdir(input, { mode: 0o700, recursive: true })
      for (const { path, text } of files) {
        await mkdir(dirname(join(input, path)), { recursive: true })
        if (typeof text === "string" || text instanceof Uint8Array) await writeFile(join(input, path), text)
        else await copyFile(text.at, join(input, path), constants.COPYFILE_FICLONE)
      }
    },
    catch: diskFailure("writing the customizations")
  })
}

const makeImage = Effect.fnUntraced(function*(
  manifest: Manifest,
  type: ImageType,
  release: Release,
  repository: ClosedRepository,
  base: string,
  input: string,
  image: string,
  scratch: Effect.Effect<Scratch>,
  limits: Limits,
  report: Report,
  /** When it is known what is installed. */
  onLooked: () => void
) {
  const ids = diskIdsOf(manifest)
  const { dir, memory } = yield* scratch
  const onTop = manifest.lock!.packages.length > repository.facts.base.length
  let stage = "base-system"
  const onLine = (line: string) => {
    const percent = convertProgress(line)
    const next = stageOf(line)
    if (percent !== undefined)
      return report.progress({ stage, percent: begins.convert + ((100 - begins.convert) * percent) / 100 })
    if (next === undefined) return report.line(line)
    stage = next
    if (stage === "customize") onLooked()
    report.progress({ stage, percent: begins[stage as keyof typeof begins] ?? begins.customize })
  }
  const failed = ({ code, tail }: Ran) => {
    const failure = failureOf(`the stage "${stage}"`, code, tail)
    return stage === "packages" && failure.message.includes("(exit ")
      ? // The packages fit together, but one of them cannot be installed here: another try would end the same way.
        new BuildFailed({
          class: "user",
          message: "packages: one of the requested packages cannot be installed",
          excerpt: failure.excerpt ?? ""
        })
      : failure
  }
  const script = scriptPath("image.sh")
  const workspace = dirname(image)
  if (onTop) yield* repository.layOut("extras")
  yield* onDiskAfterMemory(memory, report, (memory) =>
    confinedOrFail(
      {
        argv: ["bash", script],
        env: {
          SOURCE_DATE_EPOCH: String(repository.facts.epoch),
          KILN_INPUT: input,
          KILN_REPOSITORY: onTop ? repository.dir : "",
          KILN_SCRATCH: dir,
          KILN_MEMORY: memory,
          KILN_SANDBOX: sandboxDir,
          KILN_BASE: base,
          KILN_GUEST: isMachine(type) ? guestDir : "",
          KILN_FORMATS: dirname(convertScript),
          KILN_FORMAT: type.format,
          KILN_OUT: image,
          KILN_FACTS: join(dirname(image), "facts"),
          KILN_HOSTNAME: release.id.split("-")[0]!,
          KILN_ARCHITECTURE: debianArchitectures[manifest.image.architecture],
          KILN_KERNEL: kernelArgumentsOf(type, manifest, ids),
          KILN_SIZE: manifest.image.options?.size_bytes?.toString() ?? "",
          KILN_WHOLE: String(type.wholeBytes ?? 2 ** 20),
          KILN_DISK_ID: ids.disk,
          KILN_ESP_ID: ids.esp,
          KILN_FAT_ID: ids.fat
        },
        onLine
      },
      { read: [dirname(script), dirname(convertScript), guestDir, base, ...(onTop ? [repository.dir] : [])], write: [workspace] },
      workspace,
      { ...limits, scratch: Number(memory) },
      failed
    )
  )
})
