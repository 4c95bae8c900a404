/** Names become exact packages, without anything being installed. */
import { mkdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import { packageNameOf } from "../../domain/customizations.ts"
import type { ImageSpec, Lock } from "../../domain/manifest.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { digestOf, writeAtomically, type AptIndex, type AptIndexes } from "./apt-index.ts"
import { missingVersion, packagesOf, unknownPackages, unmetDependencies } from "./apt-output.ts"
import { debianArchitectures, releases, type Release } from "./distributions.ts"
import { wishesOf } from "./extras.ts"
import { excerptOf, failureOf } from "./failures.ts"
import { imagePackagesOf, type ImagePackages } from "./image-packages.ts"
import { imageTypeOf } from "./image-types/all.ts"
import type { ImageType } from "./image-types/image-type.ts"
import { nearestNames } from "./nearest.ts"
import { tidyResolved } from "./own-states.ts"
import type { Ran } from "../process/run.ts"

export const releaseOf = (distribution: string): Effect.Effect<Release, BuildFailed> => {
  const release = releases.find(({ id }) => id === distribution)
  return release
    ? Effect.succeed(release)
    : Effect.fail(new BuildFailed({ class: "user", message: `distribution: "${distribution}" is not built here` }))
}

export const imageTypeFor = ({ type }: ImageSpec["image"]): Effect.Effect<ImageType, BuildFailed> => {
  const found = imageTypeOf(type)
  return found
    ? Effect.succeed(found)
    : Effect.fail(new BuildFailed({ class: "user", message: `image.type: "${type}" is not built here` }))
}

const request = ({ extras, release }: ImagePackages, customizations: ImageSpec["customizations"]) => [
  "?essential",
  "apt",
  ...wishesOf([...release.base, ...extras], customizations)
]

export const resolve = (indexes: AptIndexes) =>
  Effect.fn("debian.resolve")(function*(spec: ImageSpec, report: Report) {
    const architecture = debianArchitectures[spec.image.architecture]
    const packages = imagePackagesOf(yield* releaseOf(spec.distribution), architecture, yield* imageTypeFor(spec.image), spec)
    const { release } = packages
    report.progress({ stage: "resolve", percent: 0 })
    const index = yield* indexes.get(release, architecture, report, spec.customizations.repositories)
    const wishes = request(packages, spec.customizations)
    const path = join(index.dir, "resolved", `${digestOf(JSON.stringify([...wishes].sort()))}.json`)
    const known = yield* remembered(path)
    // Kept by an earlier version, it may say less of the index.
    const lock = (known && { ...known, sources: index.sources }) ?? (yield* ask(indexes, index, release, spec, wishes, path))
    report.progress({ stage: "resolve", percent: 100 })
    return lock
  })

const remembered = (path: string): Effect.Effect<Lock | undefined> =>
  Effect.promise(() =>
    readFile(path, "utf8").then(
      (text) => JSON.parse(text) as Lock,
      () => undefined
    )
  )

const ask = Effect.fnUntraced(function*(
  indexes: AptIndexes,
  index: AptIndex,
  release: Release,
  spec: ImageSpec,
  wishes: ReadonlyArray<string>,
  path: string
) {
  const odd = (spec.customizations.packages ?? []).map(packageNameOf).filter((name) => ambiguous.test(name))
  if (odd.length > 0) {
    const names = new Set(yield* namesOf(index))
    const unknown = odd.filter((name) => !names.has(name))
    if (unknown.length > 0) return yield* yield* notFound(index, unknown)
  }
  const ran = yield* indexes.ask(index, ["apt-get", "-q", "-y", ...index.options, "install", "--print-uris", "--", ...wishes])
  if (ran.code !== 0) return yield* yield* refusal(index, ran)
  const lock: Lock = {
    distribution: release.id,
    architecture: spec.image.architecture,
    sources: index.sources,
    packages: packagesOf(ran.stdout)
  }
  yield* Effect.promise(async () => {
    // Only a shortcut for the next time: not being able to write it is no reason to fail.
    await mkdir(join(path, ".."), { recursive: true })
      .then(() => writeAtomically(path, JSON.stringify(lock)))
      .then(() => tidyResolved(join(path, "..")))
      .catch(() => {})
  })
  return lock
})

/** apt takes these for patterns, or for wishes to remove, where no package has exactly that name. */
const ambiguous = /[.+]|-$/

const linesOf = (index: AptIndex): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(() =>
    readFile(join(index.dir, "packages.tsv"), "utf8").then(
      (text) => text.split("\n"),
      () => []
    )
  )

const namesOf = (index: AptIndex) => Effect.map(linesOf(index), (all) => all.map((line) => line.slice(0, line.indexOf("\t"))))

/** The newest there is. */
const versionOf = (index: AptIndex, name: string) =>
  Effect.map(linesOf(index), (all) => all.find((line) => line.startsWith(`${name}\t`))?.split("\t")[1])

const notFound = Effect.fnUntraced(function*(index: AptIndex, unknown: ReadonlyArray<string>, excerpt?: string) {
  const names = yield* namesOf(index)
  const told = unknown.map((name) => {
    const near = nearestNames(names, name)
    return near.length > 0 ? `"${name}" (did you mean ${near.join(", ")}?)` : `"${name}"`
  })
  return new BuildFailed({
    class: "user",
    message: `packages: unable to locate ${told.join(", ")}`,
    ...(excerpt && { excerpt })
  })
})

const refusal = Effect.fnUntraced(function*(index: AptIndex, ran: Ran) {
  const said = `${ran.stdout}\n${ran.tail.join("\n")}`
  const unknown = unknownPackages(said)
  if (unknown.length > 0) return yield* notFound(index, unknown, excerptOf(ran.tail))
  const missing = missingVersion(said)
  if (missing !== undefined) {
    const version = yield* versionOf(index, missing.name)
    return new BuildFailed({
      class: "user",
      message: `packages: ${missing.reason}${version === undefined ? "" : ` (there is ${version})`}`,
      excerpt: excerptOf(ran.tail)
    })
  }
  const unmet = unmetDependencies(said)
  if (unmet !== undefined)
    return new BuildFailed({
      class: "user",
      message: "packages: these packages cannot be installed together",
      excerpt: unmet
    })
  return failureOf("resolving the packages", ran.code, [...ran.stdout.split("\n").slice(-20), ...ran.tail])
})
