/** Names become exact packages, without anything being installed. */
import { mkdir, readFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { ImageSpec, Lock } from "../../domain/manifest.ts"
import { BuildFailed, type Report } from "../../domain/ports/image-builder.ts"
import { digestOf, writeAtomically, type AptIndex, type AptIndexes } from "./apt-index.ts"
import { packagesOf, unknownPackages, unmetDependencies } from "./apt-output.ts"
import { debianArchitectures, extrasOf, imageType, releases, type Release } from "./distributions.ts"
import { excerptOf, failureOf } from "./failures.ts"
import { nearestNames } from "./nearest.ts"
import { run, type Ran } from "./run.ts"

export const releaseOf = (distribution: string): Effect.Effect<Release, BuildFailed> => {
  const release = releases.find(({ id }) => id === distribution)
  return release
    ? Effect.succeed(release)
    : Effect.fail(new BuildFailed({ class: "user", message: `distribution: "${distribution}" is not built here` }))
}

export const debianArchitectureOf = ({
  architecture,
  type
}: ImageSpec["image"]): Effect.Effect<string, BuildFailed> => {
  const name = debianArchitectures[architecture]
  if (name === undefined)
    return Effect.fail(
      new BuildFailed({ class: "user", message: `image.architecture: "${architecture}" is not built here` })
    )
  return type === imageType
    ? Effect.succeed(name)
    : Effect.fail(new BuildFailed({ class: "user", message: `image.type: "${type}" is not built here` }))
}

const request = (release: Release, extras: ReadonlyArray<string>) => [
  "?essential",
  "apt",
  ...new Set([...release.base, ...extras])
]

export const resolve = (indexes: AptIndexes) =>
  Effect.fn("debian.resolve")(function*(spec: ImageSpec, report: Report) {
    const release = yield* releaseOf(spec.distribution)
    const architecture = yield* debianArchitectureOf(spec.image)
    report.progress({ stage: "resolve", percent: 0 })
    const index = yield* indexes.get(release, architecture, report)
    const wishes = request(release, extrasOf(spec.customizations))
    const path = join(index.dir, "resolved", `${digestOf(JSON.stringify([...wishes].sort()))}.json`)
    const lock = (yield* remembered(path)) ?? (yield* ask(index, release, spec, wishes, path))
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
  index: AptIndex,
  release: Release,
  spec: ImageSpec,
  wishes: ReadonlyArray<string>,
  path: string
) {
  const odd = spec.customizations.packages?.filter((name) => ambiguous.test(name)) ?? []
  if (odd.length > 0) {
    const names = new Set(yield* namesOf(index))
    const unknown = odd.filter((name) => !names.has(name))
    if (unknown.length > 0) return yield* yield* notFound(index, unknown)
  }
  const ran = yield* run({
    argv: ["apt-get", "-q", "-y", ...index.options, "install", "--print-uris", "--", ...wishes],
    env: index.env,
    collect: true
  })
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
      .catch(() => {})
  })
  return lock
})

/** apt takes these for patterns, or for wishes to remove, where no package has exactly that name. */
const ambiguous = /[.+]|-$/

const namesOf = (index: AptIndex): Effect.Effect<ReadonlyArray<string>> =>
  Effect.promise(() =>
    readFile(join(index.dir, "packages.tsv"), "utf8").then(
      (text) => text.split("\n").map((line) => line.slice(0, line.indexOf("\t"))),
      () => []
    )
  )

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
  const unmet = unmetDependencies(said)
  if (unmet !== undefined)
    return new BuildFailed({
      class: "user",
      message: "packages: these packages cannot be installed together",
      excerpt: unmet
    })
  return failureOf("resolving the packages", ran.code, [...ran.stdout.split("\n").slice(-20), ...ran.tail])
})
