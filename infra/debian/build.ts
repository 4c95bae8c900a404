/** From a manifest to a disk: packages, base tree, customizations, disk, qcow2. */
import { existsSync } from "node:fs"
import { mkdir, rm, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import type { Lock, Manifest } from "../../domain/manifest.ts"
import { BuildFailed, type BuiltFile, type Report, type Secrets } from "../../domain/ports/image-builder.ts"
import { baseTree, type Scratch } from "./base-tree.ts"
import { closedRepository, type ClosedRepository } from "./closed-repository.ts"
import { imageSources, type DebianConfig } from "./config.ts"
import { customizationFiles, hiding, missingSecrets, passwordHash, secretNameOf } from "./customization-files.ts"
import { diskIdsOf } from "./disk-ids.ts"
import { extrasOf, type Release } from "./distributions.ts"
import { diskFailure, failureOf, onDiskAfterMemory } from "./failures.ts"
import { isRoot, memoryScratch, namespacePrefix } from "./namespaces.ts"
import { convertProgress, stageOf } from "./progress.ts"
import { debianArchitectureOf, releaseOf } from "./resolve.ts"
import { run, runOrFail, type Ran } from "./run.ts"
import { guestDir, scriptPath } from "./scripts.ts"

/** Where each stage begins, in percent of a build from nothing. */
const begins = { download: 0, base: 12, "base-system": 70, packages: 72, customize: 78, disk: 81, convert: 87 }

export const build = (config: DebianConfig) =>
  Effect.fn("debian.build")(function*(manifest: Manifest, secrets: Secrets, workspace: string, report: Report) {
    const release = yield* releaseOf(manifest.distribution)
    const architecture = yield* debianArchitectureOf(manifest.image)
    const { lock } = manifest
    if (lock === undefined)
      return yield* new BuildFailed({ class: "user", message: "lock: this builder needs the packages resolved first" })
    const hashes = yield* passwordHashes(manifest, secrets)
    const hide = hiding([...secrets.values(), ...hashes.values()])
    const quiet: Report = { progress: (progress) => report.progress(progress), line: (line) => report.line(hide(line)) }

    const extras = extrasOf(manifest.customizations)
    const repository = yield* closedRepository(
      release,
      architecture,
      lock.packages,
      extras,
      config.cacheDir,
      quiet,
      begins.base
    )
    const scratch = (name: string) => scratchOf(join(workspace, name), lock, manifest, config)
    const base = yield* baseTree(release, repository, config.cacheDir, scratch("scratch-base"), quiet, [
      begins.base,
      begins["base-system"]
    ]).pipe(Effect.ensuring(clear(join(workspace, "scratch-base"))))
    const input = join(workspace, "input")
    yield* writeInput(input, manifest, lock, release, repository, extras, hashes, config)
    const image = join(workspace, "image.qcow2")
    yield* makeImage(manifest, release, repository, base, input, image, scratch("scratch-image"), quiet).pipe(
      Effect.ensuring(Effect.andThen(clear(join(workspace, "scratch-image")), clear(input)))
    )
    const name = manifest.customizations.hostname ?? manifest.distribution
    return {
      path: image,
      format: "qcow2",
      filename: `${name}.qcow2`,
      mediaType: "application/x-qemu-disk"
    } satisfies BuiltFile
  })

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
  config: DebianConfig
): Effect.Effect<Scratch> => {
  const packages = lock.packages.reduce((sum, { size }) => sum + size, 0)
  const files = (customizations.files ?? []).reduce((sum, { data }) => sum + 2 * data.length, 0)
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
          argv: ["unshare", "--user", "--map-root-user", "--map-auto", "rm", "-rf", "--one-file-system", "--", dir]
        })
      )
    : Effect.promise(() => rm(dir, { recursive: true, force: true }).catch(() => {}))

const writeInput = (
  input: string,
  manifest: Manifest,
  lock: Lock,
  release: Release,
  { facts }: ClosedRepository,
  extras: ReadonlyArray<string>,
  hashes: ReadonlyMap<string, string>,
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
    ...customizationFiles(manifest.customizations, hashes).map(({ path, text }) => ({
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
        await writeFile(join(input, path), text)
      }
    },
    catch: diskFailure("writing the customizations")
  })
}

const makeImage = Effect.fnUntraced(function*(
  manifest: Manifest,
  release: Release,
  repository: ClosedRepository,
  base: string,
  input: string,
  image: string,
  scratch: Effect.Effect<Scratch>,
  report: Report
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
  yield* onDiskAfterMemory(memory, report, (memory) =>
    runOrFail(
      {
        argv: [...namespacePrefix(), "bash", scriptPath("image.sh")],
        env: {
          SOURCE_DATE_EPOCH: String(repository.facts.epoch),
          KILN_INPUT: input,
          KILN_REPOSITORY: onTop ? repository.dir : "",
          KILN_SCRATCH: dir,
          KILN_MEMORY: memory,
          KILN_BASE: base,
          KILN_GUEST: guestDir,
          KILN_OUT: image,
          KILN_HOSTNAME: release.id.split("-")[0]!,
          KILN_SIZE: manifest.image.options?.size_bytes?.toString() ?? "",
          KILN_DISK_ID: ids.disk,
          KILN_ESP_ID: ids.esp,
          KILN_ROOT_ID: ids.root,
          KILN_HASH_SEED: ids.hashSeed,
          KILN_FAT_ID: ids.fat
        },
        onLine
      },
      failed
    )
  )
})
