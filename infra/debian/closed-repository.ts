/**
 * A repository of exactly a lock's packages, so that building needs no network and cannot choose anything else.
 * Its index is kept by the packages' digests; it also says when the packages are from and which of them are the base.
 */
import { mkdir, open, readFile, writeFile } from "node:fs/promises"
import { dirname, join } from "node:path"
import { Effect } from "effect"
import type { LockedPackage } from "../../domain/manifest.ts"
import type { BuildFailed, Report } from "../../domain/ports/image-builder.ts"
import type { Shelf } from "../cache/cache.ts"
import type { Limits } from "../sandbox/limits.ts"
import { confinedOrFail } from "../sandbox/sandbox.ts"
import { digestOf, privateApt } from "./apt-index.ts"
import { packagesOf } from "./apt-output.ts"
import type { Release } from "./distributions.ts"
import { diskFailure, failureOf } from "./failures.ts"
import { checkedPackages, fetchPackages, type Origins, poolOf } from "./packages.ts"
import { scriptPath } from "./scripts.ts"

export interface ClosedRepository {
  /** Its index is there at once, its archives when they were laid out. */
  readonly dir: string
  readonly facts: Facts
  /** Of the base, or of the rest. */
  readonly layOut: (part: "base" | "extras") => Effect.Effect<void, BuildFailed>
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

interface Index {
  readonly facts: Facts
  /** Stanzas of all packages, with an empty line after each. */
  readonly packages: string
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
  shelf: Shelf,
  limits: Limits,
  report: Report,
  share: number,
  origins?: Origins
) {
  const dir = join(shelf.dir, "repository")
  const key = `${packagesKey(packages)}-${digestOf([release.id, ...release.base, "/", ...extras].join(" ")).slice(0, 12)}.json`
  const known = yield* kept(shelf, key)
  if (known !== undefined) yield* writeIndex(dir, release, architecture, known)
  const index = known ?? (yield* make(release, architecture, packages, extras, shelf, limits, report, share, origins))
  if (known === undefined) yield* keep(shelf, key, index)
  const base = new Set(index.facts.base)
  // To know the index they were all read; with a known one the cache may have rotted since.
  const bring = known === undefined ? fetchPackages : checkedPackages
  const layOut = (part: "base" | "extras") =>
    bring(packages.filter(({ sha256 }) => base.has(sha256) === (part === "base")), shelf, report, share, origins)
  return { dir, facts: index.facts, layOut } satisfies ClosedRepository as ClosedRepository
})

const kept = (shelf: Shelf, key: string): Effect.Effect<Index | undefined, BuildFailed> =>
  shelf.take("repositories", key).pipe(
    Effect.flatMap((path) =>
      path === undefined ? Effect.undefined : Effect.tryPromise({ try: async () => JSON.parse(await readFile(path, "utf8")) as Index, catch: (error) => error as Error })
    ),
    Effect.mapError(diskFailure("reading the packages' index"))
  )

const keep = (shelf: Shelf, key: string, index: Index) => {
  const path = join(shelf.dir, key)
  return Effect.tryPromise({ try: () => writeFile(path, JSON.stringify(index)), catch: (error) => error as Error }).pipe(
    Effect.andThen(shelf.put("repositories", key, path)),
    Effect.mapError(diskFailure("keeping the packages' index"))
  )
}

const make = Effect.fnUntraced(function*(
  release: Release,
  architecture: string,
  packages: ReadonlyArray<LockedPackage>,
  extras: ReadonlyArray<string>,
  shelf: Shelf,
  limits: Limits,
  report: Report,
  share: number,
  origins?: Origins
) {
  yield* checkedPackages(packages, shelf, report, share, origins)
  const pool = poolOf(shelf)
  const { stdout } = yield* confinedOrFail(
    { argv: ["bash", scriptPath("closed-repository.sh"), pool], collect: true, onLine: (line) => report.line(line) },
    { read: [dirname(scriptPath("closed-repository.sh")), pool], write: [] },
    shelf.dir,
    limits,
    ({ code, tail }) => failureOf("reading the packages", code, tail)
  )
  const dir = join(shelf.dir, "repository")
  yield* writeIndex(dir, release, architecture, { packages: stdout, facts: { epoch: 0, baseEpoch: 0, base: [] } })
  const base = extras.length === 0 ? packages : yield* baseOf(release, architecture, packages, dir, shelf, limits, report)
  const times = yield* Effect.tryPromise({
    try: async () =>
      new Map(
        await Promise.all(
          packages.map(async ({ sha256 }) => [sha256, await madeAt(join(pool, `${sha256}.deb`))] as const)
        )
      ),
    catch: diskFailure("reading the packages")
  })
  const newest = (some: ReadonlyArray<LockedPackage>) => Math.max(...some.map(({ sha256 }) => times.get(sha256) ?? 0))
  const index: Index = {
    facts: { epoch: newest(packages), baseEpoch: newest(base), base: base.map(({ sha256 }) => sha256).sort() },
    packages: stdout
  }
  yield* writeIndex(dir, release, architecture, index)
  return index
})

const stanzasOf = (text: string) => text.split("\n\n").filter((stanza) => stanza.trim() !== "")

/** The base is a suite of its own: a base tree must not depend on what else there happened to be to choose from. */
const writeIndex = (dir: string, release: Release, architecture: string, { facts, packages }: Index) => {
  const base = new Set(facts.base)
  const stanzas = stanzasOf(packages)
  const inBase = stanzas.filter((text) => base.has(/^SHA256: (\w+)$/m.exec(text)?.[1] ?? ""))
  const suite = async (name: string, some: ReadonlyArray<string>) => {
    const lists = join(dir, "dists", name, "main", `binary-${architecture}`)
    await mkdir(lists, { recursive: true })
    await writeFile(join(lists, "Packages"), some.map((text) => `${text.trim()}\n\n`).join(""))
    await writeFile(
      join(dir, "dists", name, "Release"),
      `Suite: ${name}\nCodename: ${name}\nComponents: main\nArchitectures: ${architecture}\n`
    )
  }
  return Effect.tryPromise({
    try: async () => {
      await suite(release.suite, stanzas)
      await suite("base", inBase)
    },
    catch: diskFailure("laying out the packages")
  })
}

/** What apt would install for the base alone, had it only these packages to choose from. */
const baseOf = Effect.fnUntraced(function*(
  release: Release,
  architecture: string,
  packages: ReadonlyArray<LockedPackage>,
  dir: string,
  shelf: Shelf,
  limits: Limits,
  report: Report
): Effect.fn.Return<ReadonlyArray<LockedPackage>, BuildFailed> {
  const apt = join(shelf.dir, "apt")
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
  const script = scriptPath("base-packages.sh")
  const { stdout } = yield* confinedOrFail(
    {
      argv: ["bash", script, "?essential", "apt", ...release.base],
      env: { APT_CONFIG: join(apt, "apt.conf") },
      collect: true,
      onLine: quiet(report)
    },
    { read: [dirname(script), dir], write: [apt] },
    apt,
    limits,
    ({ code, tail }) => failureOf("finding the base packages", code, tail)
  )
  const needed = new Set(packagesOf(stdout).map(({ sha256 }) => sha256))
  return packages.filter(({ sha256 }) => needed.has(sha256))
})

const closedSource = (dir: string, release: Release) => `deb [trusted=yes] copy://${dir} ${release.suite} main\n`

// apt complains that a repository made on the spot has no signature and no date; that is as it should be.
const quiet = (report: Report) => (line: string) => {
  if (!line.startsWith("W: ")) report.line(line)
}
