/**
 * A repository of exactly a lock's packages, so that building needs no network and cannot choose anything else.
 * Kept by the packages' digests; it also knows when the packages are from and which of them are the base.
 */
import { randomUUID } from "node:crypto"
import { copyFile, link, mkdir, open, readFile, rename, rm, utimes, writeFile } from "node:fs/promises"
import { join } from "node:path"
import { Effect } from "effect"
import type { LockedPackage } from "../../domain/manifest.ts"
import type { BuildFailed, Report } from "../../domain/ports/image-builder.ts"
import { digestOf, privateApt } from "./apt-index.ts"
import { packagesOf } from "./apt-output.ts"
import type { Release } from "./distributions.ts"
import { diskFailure, failureOf } from "./failures.ts"
import { checkPackage, fetchPackages, packagePath } from "./packages.ts"
import { runOrFail } from "./run.ts"
import { scriptPath } from "./scripts.ts"

export interface ClosedRepository {
  readonly dir: string
  readonly facts: Facts
}

interface Facts {
  /**
   * Seconds since 1970 of the newest package: the time of everything in the image. Unlike the index's date it stays
   * until a package changes.
   */
  readonly epoch: number
  readonly baseEpoch: number
  /** SHA-256 of the packages that the base needs alone, sorted. The rest is put on top. */
  readonly base: ReadonlyArray<string>
}

const packagesKey = (packages: ReadonlyArray<LockedPackage>) =>
  digestOf(
    packages
      .map(({ sha256 }) => sha256)
      .sort()
      .join("\n")
  )

/** When an archive was made: the time in its first ar header, which dpkg-deb takes from the changelog. */
const madeAt = async (path: string): Promise<number> => {
  const file = await open(path)
  try {
    const { buffer } = await file.read(Buffer.alloc(12), 0, 12, 24)
    return Number.parseInt(buffer.toString("latin1"), 10) || 0
  } finally {
    await file.close()
  }
}

/** `share`: the percents of the job that fetching is. `extras` tells apart what is asked for beyond the base. */
export const closedRepository = Effect.fn("debian.repository")(function*(
  release: Release,
  architecture: string,
  packages: ReadonlyArray<LockedPackage>,
  extras: ReadonlyArray<string>,
  cacheDir: string,
  report: Report,
  share: number
) {
  const dir = join(
    cacheDir,
    "locks",
    `${packagesKey(packages)}-${digestOf([release.id, ...release.base, "/", ...extras].join(" ")).slice(0, 12)}`
  )
  const facts = yield* Effect.promise(() =>
    readFile(join(dir, "facts.json"), "utf8").then(
      (text) => JSON.parse(text) as Facts,
      () => undefined
    )
  )
  if (facts !== undefined) {
    yield* Effect.promise(() => utimes(dir, new Date(), new Date()).catch(() => {}))
    return { dir, facts } satisfies ClosedRepository
  }
  yield* fetchPackages(packages, cacheDir, report, share)
  yield* Effect.forEach(packages, (item) => checkPackage(item, cacheDir), { concurrency: 4, discard: true })
  const part = `${dir}.${randomUUID()}.part`
  return yield* make(release, architecture, packages, extras, cacheDir, part, report).pipe(
    Effect.tap(() =>
      Effect.promise(() =>
        // Somebody else may have been as quick; theirs is the same.
        rename(part, dir).catch(() => {})
      )
    ),
    Effect.map((facts): ClosedRepository => ({ dir, facts })),
    Effect.ensuring(Effect.promise(() => rm(part, { recursive: true, force: true })))
  )
})

const make = Effect.fnUntraced(function*(
  release: Release,
  architecture: string,
  packages: ReadonlyArray<LockedPackage>,
  extras: ReadonlyArray<string>,
  cacheDir: string,
  dir: string,
  report: Report
) {
  const times = yield* Effect.tryPromise({
    try: async () => {
      await mkdir(join(dir, "pool"), { recursive: true })
      return new Map(
        await Promise.all(
          packages.map(async ({ sha256 }) => {
            const from = packagePath(cacheDir, sha256)
            const to = join(dir, "pool", `${sha256}.deb`)
            // The cache may lie on several file systems, or have run out of links.
            await link(from, to).catch(() => copyFile(from, to))
            return [sha256, await madeAt(to)] as const
          })
        )
      )
    },
    catch: diskFailure("laying out the packages")
  })
  yield* runOrFail(
    {
      argv: ["bash", scriptPath("closed-repository.sh"), dir, release.suite, architecture],
      onLine: (line) => report.line(line)
    },
    ({ code, tail }) => failureOf("reading the packages", code, tail)
  )
  const base = extras.length === 0 ? packages : yield* baseOf(release, architecture, packages, dir, report)
  yield* Effect.tryPromise({
    try: () => writeBaseSuite(dir, release, architecture, base),
    catch: diskFailure("laying out the packages")
  })
  const newest = (some: ReadonlyArray<LockedPackage>) => Math.max(...some.map(({ sha256 }) => times.get(sha256) ?? 0))
  const facts: Facts = {
    epoch: newest(packages),
    baseEpoch: newest(base),
    base: base.map(({ sha256 }) => sha256).sort()
  }
  yield* Effect.tryPromise({
    try: () => writeFile(join(dir, "facts.json"), JSON.stringify(facts)),
    catch: diskFailure("laying out the packages")
  })
  return facts
})

/** The base as a suite of its own: a base tree must not depend on what else there happened to be to choose from. */
const writeBaseSuite = async (
  dir: string,
  release: Release,
  architecture: string,
  base: ReadonlyArray<LockedPackage>
) => {
  const lists = (suite: string) => join(dir, "dists", suite, "main", `binary-${architecture}`)
  const wanted = new Set(base.map(({ sha256 }) => sha256))
  const stanzas = (await readFile(join(lists(release.suite), "Packages"), "utf8")).split("\n\n")
  await mkdir(lists("base"), { recursive: true })
  await writeFile(
    join(lists("base"), "Packages"),
    stanzas
      .filter((text) => wanted.has(/^SHA256: (\w+)$/m.exec(text)?.[1] ?? ""))
      .map((text) => `${text.trim()}\n\n`)
      .join("")
  )
  await writeFile(
    join(dir, "dists", "base", "Release"),
    `Suite: base\nCodename: base\nComponents: main\nArchitectures: ${architecture}\n`
  )
}

/** What apt would install for the base alone, had it only these packages to choose from. */
const baseOf = Effect.fnUntraced(function*(
  release: Release,
  architecture: string,
  packages: ReadonlyArray<LockedPackage>,
  dir: string,
  report: Report
): Effect.fn.Return<ReadonlyArray<LockedPackage>, BuildFailed> {
  const apt = join(dir, "apt")
  const conf = privateApt(apt, architecture)
  yield* Effect.tryPromise({
    try: async () => {
      await mkdir(join(apt, "lists", "partial"), { recursive: true })
      await mkdir(join(apt, "archives", "partial"), { recursive: true })
      await mkdir(join(apt, "none"))
      await writeFile(join(apt, "status"), "")
      await writeFile(join(apt, "sources.list"), closedSource(dir, release))
      await writeFile(join(apt, "apt.conf"), conf)
    },
    catch: diskFailure("laying out the packages")
  })
  const env = { APT_CONFIG: join(apt, "apt.conf") }
  const fail = ({ code, tail }: { readonly code: number; readonly tail: ReadonlyArray<string> }) =>
    failureOf("finding the base packages", code, tail)
  yield* runOrFail({ argv: ["apt-get", "-qq", "update"], env, onLine: quiet(report) }, fail)
  const { stdout } = yield* runOrFail(
    {
      argv: ["apt-get", "-q", "-y", "install", "--print-uris", "--", "?essential", "apt", ...release.base],
      env,
      collect: true
    },
    fail
  )
  yield* Effect.promise(() => rm(apt, { recursive: true, force: true }))
  const needed = new Set(packagesOf(stdout).map(({ sha256 }) => sha256))
  return packages.filter(({ sha256 }) => needed.has(sha256))
})

export const closedSource = (dir: string, release: Release) => `deb [trusted=yes] copy://${dir} ${release.suite} main\n`

// apt complains that a repository made on the spot has no signature and no date; that is as it should be.
const quiet = (report: Report) => (line: string) => {
  if (!line.startsWith("W: ")) report.line(line)
}
